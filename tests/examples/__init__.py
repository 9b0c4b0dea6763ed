"""What must hold on both engines: LiteRT in the main environment, both in the one with tflite-runtime."""
