# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Messages of protocol buffers, made from a description instead of generated code."""

from collections.abc import Mapping
from typing import Any

from fakedet_jax.weights.tensors import UnreadableError


def messages(
    name: str, described: Mapping[str, Mapping[str, tuple[int, str]]]
) -> dict[str, Any]:
    """Classes of messages; fields that are not described are skipped.

    Args:
        name: Name of the format.
        described: For each message its fields, each with its number and type, such as
            "string", "repeated float" or the name of another message.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    package = f"fakedet_jax.{name}"
    file = descriptor_pb2.FileDescriptorProto(
        name=f"fakedet_jax_{name}.proto", package=package, syntax="proto2"
    )
    for title, fields in described.items():
        message = file.message_type.add(name=title)
        for field_name, (number, kind) in fields.items():
            label, _, kind = kind.rpartition(" ")
            entry = message.field.add(
                name=field_name,
                number=number,
                label=field.LABEL_REPEATED if label else field.LABEL_OPTIONAL,
            )
            if kind in described:
                entry.type = field.TYPE_MESSAGE
                entry.type_name = f".{package}.{kind}"
            else:
                entry.type = getattr(field, f"TYPE_{kind.upper()}")
                # Parsers take both forms of these; packed ones are usual.
                entry.options.packed = bool(label) and kind not in ("string", "bytes")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        title: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{package}.{title}")
        )
        for title in described
    }


def parse(message: Any, content: bytes, what: str) -> Any:
    """A message that a file holds.

    Args:
        message: Its class.
        content: The bytes of the file.
        what: What the file is.

    Raises:
        UnreadableError: It is damaged.
    """
    from google.protobuf.message import DecodeError

    try:
        return message.FromString(content)
    except DecodeError as error:
        raise UnreadableError(f"is a damaged or truncated {what}; get it again") from (
            error
        )
