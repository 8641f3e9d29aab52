# SPDX-License-Identifier: Apache-2.0
"""Decoders without a past: what a decoder keeps of earlier packets must not decide how a later frame looks."""

from __future__ import annotations

from typing import Any

from av import CodecContext

MAX_PIXELS = 2**24
"""Pixels of a frame, 4096 x 4096, more than any detector has: a larger claim is refused before memory is taken."""
_STRICT = "crccheck+bitstream+buffer+explode"
"""Damage raises an error, where the decoder notices it, instead of being concealed by what it decoded before."""
_STUFFED = ("mpeg1video", "mpeg2video")
_STRICT_WHERE_STUFFED = "crccheck+buffer+explode"
"""For streams that encoders of a constant rate, and DICOM files of an even length, fill up with zeros behind a picture
(zero_byte of ISO/IEC 13818-2): with "bitstream", more than one byte of them would be an error of that picture."""
_PADDING = 64
_SMALL_PIXELS = 2**17
_COPIED = (
    "width",
    "height",
    "pix_fmt",
    "bits_per_coded_sample",
    "codec_tag",
    "color_range",
    "colorspace",
    "color_primaries",
    "color_trc",
    "sample_aspect_ratio",
    "reorder_depth",
)


class DecoderSettings:
    """What a decoder needs to know of a stream before its first packet.

    Attributes:
        codec: The av.Codec.
        extradata: The setup bytes of the stream.
        declared_size: Rows and columns of a frame as the container declares them.
        strict: Whether damage that a decoder notices raises an error. Some recorders break the rules of their format
            in every frame; their streams are decoded leniently.
    """

    def __init__(self, context: Any) -> None:
        """Copy the settings of the codec context of an opened stream."""
        self.strict = True
        self.codec = context.codec
        self.extradata = bytes(context.extradata or b"")
        self.declared_size = (int(context.height), int(context.width))
        self._values = {name: getattr(context, name) for name in _COPIED}
        if not context.width or not context.height:
            del self._values["width"], self._values["height"]
        for name in ("pix_fmt", "sample_aspect_ratio"):
            if not self._values[name]:
                del self._values[name]

    @property
    def name(self) -> str:
        """Canonical name of the codec."""
        return str(self.codec.canonical_name)

    @property
    def reorder_depth(self) -> int:
        """Number of frames that the decoder holds back to put them in order, as far as it is known beforehand."""
        return int(self._values["reorder_depth"])

    def fresh(self, *, lenient: bool = False) -> Any:
        """Return a new codec context for the stream, which has decoded nothing.

        Args:
            lenient: Whether to conceal damage, and mark the frame, where the stream as a whole is decoded strictly.
        """
        context: Any = CodecContext.create(self.codec, "r")
        for name, value in self._values.items():
            setattr(context, name, value)
        if self.extradata:
            # libav reads beyond the end; setting it twice leaves zeros there and not what was in memory before.
            context.extradata = self.extradata + bytes(_PADDING)
            context.extradata = self.extradata
        # Frame threads report errors late and for another packet; slice threads do not.
        context.thread_type = "SLICE"
        if self.declared_size[0] * self.declared_size[1] <= _SMALL_PIXELS:
            context.thread_count = 1  # starting threads takes longer than decoding
        context.options = {
            "max_pixels": str(MAX_PIXELS),
        }
        if self.strict and not lenient:
            detected = _STRICT_WHERE_STUFFED if self.name in _STUFFED else _STRICT
            context.options = {**context.options, "err_detect": detected}
        return context
