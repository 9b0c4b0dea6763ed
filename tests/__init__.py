"""Tests of onelane."""
