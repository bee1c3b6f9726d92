# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples between programs: raw complex64, little-endian, over ZeroMQ or UDP, as GNU Radio's own blocks have them.

ZeroMQ: the receiver binds PULL, the sender connects PUSH; either may start first, and nothing is lost. UDP loses what
nobody hears, so its sender keeps the sample rate.
"""

from __future__ import annotations

import socket
import threading
import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .places import udp_address

ITEM = 8  # octets of a sample
ZMQ_QUEUE = 16  # messages on either side
ZMQ_PIECE = 8192  # samples
UDP_PIECE = 184  # samples: 1472 octets, what one Ethernet frame holds
LINGER_S = 30.0  # for what was sent last


class Outlet(ABC):
    """Takes samples; `piece` is how many at most at once."""

    piece: int = ZMQ_PIECE

    @abstractmethod
    def send(self, samples: NDArray[np.complex64], timeout_s: float) -> bool:
        """False if nobody has taken them in that time."""

    def abandoned(self) -> bool:
        """Whether a receiver was there and has gone."""
        return False

    @abstractmethod
    def close(self, wait: bool) -> None:
        """Let go; with `wait` not before the last sample is taken."""


class Inlet(ABC):
    """Gives samples."""

    @abstractmethod
    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """Samples, complex64; None if none came in that time."""

    @abstractmethod
    def close(self) -> None:
        """Let go."""


def samples_of(data: bytes) -> NDArray[np.complex64]:
    """Octets as samples; what is left over of the last one is dropped."""
    return np.frombuffer(data, "<c8", count=len(data) // ITEM).astype(np.complex64, copy=False)


class ZmqOutlet(Outlet):
    """Connects a PUSH socket. It may wait for its receiver for ever."""

    def __init__(self, address: str) -> None:
        import zmq

        self._zmq = zmq
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, ZMQ_QUEUE)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED)
        self._there = self._gone = False
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close(False)
            raise ValueError(f"cannot send to zmq:{address}: {error}") from error

    def send(self, samples: NDArray[np.complex64], timeout_s: float) -> bool:
        """Sends one message."""
        if not self._socket.poll(max(1, int(1000 * timeout_s)), self._zmq.POLLOUT):
            return False
        self._socket.send(samples.astype("<c8", copy=False).tobytes())
        return True

    def abandoned(self) -> bool:
        """Whether a receiver was connected and is no longer."""
        from zmq.utils.monitor import recv_monitor_message

        while self._monitor.poll(0):
            connected = recv_monitor_message(self._monitor)["event"] == self._zmq.EVENT_CONNECTED
            self._there, self._gone = self._there or connected, self._there and not connected
        return self._gone

    def close(self, wait: bool) -> None:
        """With `wait`, until the receiver has the last message, or half a minute."""
        linger = LINGER_S if wait and not self.abandoned() else 0.0
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(int(1000 * linger))
        self._context.term()


class ZmqInlet(Inlet):
    """Binds a PULL socket; ValueError where the address is taken."""

    def __init__(self, address: str) -> None:
        import zmq

        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.RCVHWM, ZMQ_QUEUE)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise ValueError(f"cannot receive at zmq:{address}: {error}; is another receiver running?") from error

    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """One message."""
        return samples_of(self._socket.recv()) if self._socket.poll(int(1000 * timeout_s)) else None

    def close(self) -> None:
        """What has not been read is dropped."""
        self._socket.close(0)
        self._context.term()


def _udp_socket(address: str, passive: bool) -> tuple[socket.socket, Any]:
    host, port = udp_address(address)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family, kind, protocol)
        if passive:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
            made.bind(where)
    except OSError as error:
        raise ValueError(f"cannot use udp:{address}: {error.strerror or error}") from error
    return made, where


class UdpOutlet(Outlet):
    """Sends datagrams, no faster than `sample_rate_hz`."""

    piece = UDP_PIECE

    def __init__(self, address: str, sample_rate_hz: float) -> None:
        self._socket, self._where = _udp_socket(address, passive=False)
        self._rate = sample_rate_hz
        self._due = 0.0

    def send(self, samples: NDArray[np.complex64], timeout_s: float) -> bool:
        """Sends one datagram when its time has come; nobody knows whether it arrives."""
        now = time.monotonic()
        if self._due > now + 0.002:  # sleeping for less is not worth it
            time.sleep(self._due - now)
        self._due = max(self._due, now - 0.1) + samples.size / self._rate
        self._socket.sendto(samples.astype("<c8", copy=False).tobytes(), self._where)
        return True

    def close(self, wait: bool) -> None:
        """What was sent is gone already."""
        self._socket.close()


class UdpInlet(Inlet):
    """Binds a UDP port."""

    def __init__(self, address: str) -> None:
        self._socket, _ = _udp_socket(address, passive=True)

    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """All datagrams that wait, up to 64."""
        self._socket.settimeout(timeout_s)
        found = []
        try:
            found.append(self._socket.recv(65536))
            self._socket.setblocking(False)
            while len(found) < 64:
                found.append(self._socket.recv(65536))
        except (TimeoutError, BlockingIOError):
            pass
        whole = [samples_of(one) for one in found]
        return np.concatenate(whole) if whole else None

    def close(self) -> None:
        """Let the port go."""
        self._socket.close()


class Ending:
    """Tells the blocks of a flowgraph, in their waits, that it is over; `idle` that nothing but silence is left."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.idle = threading.Event()
