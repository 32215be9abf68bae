// SPDX-License-Identifier: Apache-2.0
//
// A connected SOCK_SEQPACKET pair: whole datagrams, in order, and an end of file when the peer
// goes. What supervisor and plugin host talk over.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost {

// Longest datagram. Linux allocates one contiguous-enough buffer for each; 128 KiB holds 1,000
// readings with room to spare, and larger messages are split (model/frame.hpp).
inline constexpr size_t kMaxDatagram = size_t{128} * 1024;

// Both ends close-on-exec; send buffers are sized so that several full datagrams fit.
Result<std::pair<UniqueFd, UniqueFd>> make_seqpacket_pair();

// Our end of a connection to the listening socket at `path`, without waiting: non-blocking,
// close-on-exec, with the same buffer. Errors: NotFound, Io (nobody listens, it is not for this
// user, too many wait).
Result<UniqueFd> connect_seqpacket(const std::string& path);

// Sends one datagram. Errors: Full (the peer does not read; only with a non-blocking descriptor or
// `wait` false), Unavailable (the peer is gone), Io.
Result<> send_datagram(int fd, std::span<const std::byte> datagram, bool wait);

// Length of the next datagram, which stays where it is; 0: the peer has closed (or has sent one of
// no bytes, which none of ours does). Lets a reader do without a buffer for the longest one.
// Errors: Unavailable (nothing there), Io.
Result<size_t> next_datagram(int fd);

// Receives one datagram into `buffer`, without waiting if `wait` is false. An empty span: the peer
// has closed. Errors: Unavailable (nothing there), Invalid (the datagram was longer than the
// buffer, its rest is lost), Io.
Result<std::span<std::byte>> receive_datagram(int fd, std::vector<std::byte>& buffer, bool wait);

}  // namespace fieldpost
