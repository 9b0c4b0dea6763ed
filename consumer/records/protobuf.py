"""x."""


class ProtobufDialect: ...
