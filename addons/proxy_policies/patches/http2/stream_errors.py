"""Handles an error of one HTTP/2 stream by resetting that stream, without affecting others on the connection.

hyper-h2 ends the connection over malformed messages, streams beyond the limit, and invalid window updates and
priorities. In RFC 9113 these are stream errors (sections 5.1.2, 5.3.2, 6.3, 6.9 and 8.1.1). Errors that corrupt the
state shared by all streams (field compression, section 4.3) still end the connection.

hyper-h2 checks Content-Length only at DATA frames: not if the head or the trailers end the message, and it forgets the
length when trailers arrive. This module checks it there, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs
from h2.errors import ErrorCodes
from h2.events import Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import (
    DenialOfServiceError,
    FrameDataMissingError,
    NoSuchStreamError,
    ProtocolError,
    StreamIDTooLowError,
)
from h2.frame_buffer import FrameBuffer
from h2.settings import SettingCodes
from h2.stream import H2Stream, StreamClosedBy, StreamState
from hpack import HPACKError
from hyperframe.frame import (
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from mitmproxy.proxy.layers.http._http_h2 import BufferedH2Connection

HEAD = 9  # bytes before a frame's payload
STREAM_FRAMES = (WindowUpdateFrame.type, PriorityFrame.type)
"""Frames whose invalid payload is an error of the stream that they name."""
HEADER_TABLE_SIZE = 4096
"""The default, in bytes (RFC 9113, section 6.5.2)."""
WITHOUT_CONTENT = (b"204", b"304")
"""Statuses whose Content-Length, if any, does not describe the response's own content (RFC 9110, section 8.6)."""


@dataclass(kw_only=True)
class StreamRejected(StreamReset):
    """We have reset a stream because of an error of its peer."""

    why: str
    is_head: bool
    """The error is in the stream's first field section: no event was returned for it."""


@dataclass(frozen=True)
class PeerShutsDown(Event):
    """The peer is shutting down (GOAWAY): it processes no stream after the last one named."""

    last_stream_id: int
    error_code: int


class InvalidFrame(Frame):
    """A frame of one stream with an invalid payload."""

    type = None

    def __init__(self, stream_id: int, error: ProtocolError) -> None:
        super().__init__(stream_id)
        self.error = error


class Frames(FrameBuffer):
    """hyper-h2's frame reader, which also returns some frames with invalid payloads."""

    def __next__(self) -> Frame:
        """Return the next frame. Raise StopIteration after the last, or ProtocolError."""
        try:
            return super().__next__()
        except ProtocolError as error:
            head = bytes(self._data[:HEAD])
            stream_id = int.from_bytes(head[5:]) & 0x7FFFFFFF
            if self._headers_buffer or head[3] not in STREAM_FRAMES or not stream_id or not _is_about_payload(error):
                raise
            self._data = self._data[HEAD + int.from_bytes(head[:3]) :]
            return InvalidFrame(stream_id, error)


def _is_about_payload(error: ProtocolError) -> bool:
    """Return whether an error is about the payload, and not about a frame too large to be read."""
    return isinstance(error, FrameDataMissingError) or error.__cause__ is not None


class PerStreamConnection(BufferedH2Connection):
    """One side of a connection; the methods `_receive_…frame` override hyper-h2's."""

    def __init__(self, config: H2Configuration, holds_back: Callable[[int], bool]) -> None:
        super().__init__(config)
        self._holds_back = holds_back
        self.unacknowledged: dict[int, int] = {}
        """By stream: bytes received for which its window has not been reopened yet."""

    def acknowledge_received_data(self, acknowledged_size: int, stream_id: int) -> None:
        """Reopen the windows; that of a stream held back by the other side only later."""
        if stream_id not in self.unacknowledged and not self._holds_back(stream_id):
            super().acknowledge_received_data(acknowledged_size, stream_id)
            return
        self.unacknowledged[stream_id] = self.unacknowledged.get(stream_id, 0) + acknowledged_size
        if more := self._inbound_flow_control_window_manager.process_bytes(acknowledged_size):
            self._prepare_for_sending([WindowUpdateFrame(0, window_increment=more)])

    def acknowledge_accepted(self) -> None:
        """Reopen the windows of streams that the other side no longer holds back."""
        for stream_id in [it for it in self.unacknowledged if not self._holds_back(it)]:
            unacknowledged, stream = self.unacknowledged.pop(stream_id), self.streams.get(stream_id)
            if stream is not None and not stream.closed:
                self._prepare_for_sending(stream.acknowledge_received_data(unacknowledged))

    def initiate_connection(self) -> None:
        """Start the connection with our frame reader."""
        self.incoming_buffer = Frames(server=not self.config.client_side)
        super().initiate_connection()  # type: ignore[no-untyped-call]

    def _receive_frame(self, frame: Frame) -> list[Event]:
        is_head = isinstance(frame, HeadersFrame) and frame.stream_id not in self.streams
        try:
            if isinstance(frame, InvalidFrame):
                raise frame.error
            return super()._receive_frame(frame)
        except ProtocolError as error:
            if not self._is_of_one_stream(frame, error):
                raise
            return self._reset(frame.stream_id, error.error_code, str(error), is_head=is_head)

    def _receive_settings_frame(self, frame: SettingsFrame) -> tuple[list[Frame], list[Event]]:
        """Use no larger table than the default one for what we send, whatever the peer permits (RFC 7541, section 4.2).

        hpack keeps all that it has sent, and searches it one by one.
        """
        if frame.settings.get(SettingCodes.HEADER_TABLE_SIZE, 0) > HEADER_TABLE_SIZE:
            frame.settings[SettingCodes.HEADER_TABLE_SIZE] = HEADER_TABLE_SIZE
        return super()._receive_settings_frame(frame)

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        """Continue: hyper-h2 accepts nothing more from such a peer; mitmproxy drops data that waits for its windows."""
        return [], [PeerShutsDown(frame.last_stream_id, frame.error_code)]

    def _is_of_one_stream(self, frame: Frame, error: ProtocolError) -> bool:
        if isinstance(error, NoSuchStreamError | StreamIDTooLowError | DenialOfServiceError):
            return False
        if isinstance(error.__cause__, HPACKError) or not frame.stream_id:
            return False
        return frame.stream_id in self.streams or isinstance(frame, PriorityFrame | InvalidFrame)

    def _reset(self, stream_id: int, code: ErrorCodes, why: str, *, is_head: bool) -> list[Event]:
        """Reset a stream if it exists; an unknown one needs nothing."""
        stream = self.streams.get(stream_id)
        if stream is None:
            return []
        stream.state_machine.state = StreamState.CLOSED
        stream.state_machine.stream_closed_by = StreamClosedBy.SEND_RST_STREAM
        self._prepare_for_sending([RstStreamFrame(stream_id, error_code=code)])
        return [StreamRejected(stream_id=stream_id, error_code=code, remote_reset=False, why=why, is_head=is_head)]

    def _receive_headers_frame(self, frame: HeadersFrame) -> tuple[list[Frame], list[Event]]:
        if not self._is_beyond_limit(frame.stream_id):
            return self._receive_fields(frame)
        self._begin_new_stream(frame.stream_id, AllowedStreamIDs(not self.config.client_side))
        super()._receive_headers_frame(frame)  # field compression of later streams depends on these fields
        return [], self._reset(frame.stream_id, ErrorCodes.REFUSED_STREAM, "too many streams are open", is_head=True)

    def _receive_fields(self, frame: HeadersFrame) -> tuple[list[Frame], list[Event]]:
        """Receive a head or trailers. Raise InvalidBodyLengthError if content ends short of its declared length."""
        before = self.streams.get(frame.stream_id)
        declared = None if before is None else before._expected_content_length
        frames, events = super()._receive_headers_frame(frame)
        stream = self.streams.get(frame.stream_id)
        if stream is not None:
            _set_expected_length(stream, events, declared)
            if any(isinstance(event, StreamEnded) for event in events):
                stream._track_content_length(0, end_stream=True)
        return frames, events

    def _is_beyond_limit(self, stream_id: int) -> bool:
        if stream_id in self.streams or stream_id <= self.highest_inbound_stream_id:
            return False
        return self.open_inbound_streams >= self.local_settings.max_concurrent_streams


def _set_expected_length(stream: H2Stream, events: list[Event], declared: int | None) -> None:
    """Set the expected content length: trailers do not change the length that the head `declared`."""
    for event in events:
        if isinstance(event, TrailersReceived):
            stream._expected_content_length = declared
        elif isinstance(event, ResponseReceived) and _has_no_content(event):
            stream._expected_content_length = 0


def _has_no_content(event: ResponseReceived) -> bool:
    return any(bytes(name) == b":status" and bytes(value) in WITHOUT_CONTENT for name, value in event.headers)
