// SPDX-License-Identifier: Apache-2.0
//
// A Stream in the form that Asio's TLS and Beast take for the layer below them.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>

#include <utility>  // before Asio: 1.74 uses std::exchange without it

#include "uplink/stream.hpp"

namespace fieldpost {

class AsyncStream {
 public:
  using executor_type = Stream::Executor;  // NOLINT(readability-identifier-naming): Asio's
  using lowest_layer_type = AsyncStream;   // NOLINT(readability-identifier-naming): Asio's
  using Signature = void(boost::system::error_code, size_t);

  explicit AsyncStream(Stream& stream) : stream_(&stream) {}
  executor_type get_executor() const { return stream_->executor(); }
  lowest_layer_type& lowest_layer() { return *this; }

  template <class Sequence, class Handler>
  auto async_read_some(const Sequence& into, Handler&& handler) {
    boost::asio::mutable_buffer first;
    const auto end = boost::asio::buffer_sequence_end(into);
    for (auto it = boost::asio::buffer_sequence_begin(into); it != end && first.size() == 0; ++it) {
      first = *it;
    }
    return boost::asio::async_initiate<Handler, Signature>(
        [this, first](auto&& done) { stream_->read(first, std::forward<decltype(done)>(done)); },
        handler);
  }

  template <class Sequence, class Handler>
  auto async_write_some(const Sequence& from, Handler&& handler) {
    Stream::Buffers buffers;
    size_t n = 0;
    const auto end = boost::asio::buffer_sequence_end(from);
    for (auto it = boost::asio::buffer_sequence_begin(from); it != end && n < buffers.size();
         ++it) {
      const boost::asio::const_buffer one = *it;
      if (one.size() > 0) buffers[n++] = one;
    }
    return boost::asio::async_initiate<Handler, Signature>(
        [this, buffers](auto&& done) {
          stream_->write(buffers, std::forward<decltype(done)>(done));
        },
        handler);
  }

 private:
  Stream* stream_;
};

}  // namespace fieldpost
