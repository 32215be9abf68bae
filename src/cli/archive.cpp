// SPDX-License-Identifier: Apache-2.0
#include "cli/archive.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace fieldpost::cli {
namespace {

constexpr size_t kBlock = 512;

// POSIX.1-1988, "ustar": texts, and numbers as octal digits with a zero behind them.
struct Header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100],
      magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};
static_assert(sizeof(Header) == kBlock);

// N - 1 digits; the zero behind them is there.
template <size_t N>
void put_octal(char (&field)[N], uint64_t value) {
  for (size_t i = N - 1; i-- > 0; value /= 8) field[i] = static_cast<char>('0' + value % 8);
}

template <size_t N>
void put_text(char (&field)[N], std::string_view text) {
  std::copy_n(text.begin(), std::min(text.size(), N), field);
}

}  // namespace

void Archive::add(std::string_view name, std::string_view content, int64_t time) {
  Header header{};
  put_text(header.name, name);
  put_octal(header.mode, 0600);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, content.size());
  put_octal(header.mtime, static_cast<uint64_t>(std::max<int64_t>(time, 0)));
  header.type = '0';
  put_text(header.magic, "ustar");  // and the zero that is there
  put_text(header.version, "00");
  std::fill_n(header.checksum, sizeof header.checksum, ' ');
  std::array<unsigned char, kBlock> bytes{};
  std::memcpy(bytes.data(), &header, kBlock);
  uint64_t sum = 0;
  for (const unsigned char byte : bytes) sum += byte;
  put_octal(header.checksum, sum);
  tar_.append(reinterpret_cast<const char*>(&header), kBlock);
  tar_ += content;
  tar_.resize((tar_.size() + kBlock - 1) / kBlock * kBlock);
}

Result<std::string> Archive::compressed() const {
  const std::string all = tar_ + std::string(2 * kBlock, '\0');  // two empty blocks end it
  z_stream stream{};
  constexpr int kGzip = 16;
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzip, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
    return Error{Errc::Io, "no memory to compress"};
  }
  std::string out(::deflateBound(&stream, all.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(all.data()));
  stream.avail_in = static_cast<uInt>(all.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int done = ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  if (done != Z_STREAM_END) return Error{Errc::Io, "cannot compress"};
  return out;
}

}  // namespace fieldpost::cli
