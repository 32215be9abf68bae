// SPDX-License-Identifier: Apache-2.0
//
// Reads a damaged outbox without SQLite: all rows whose checksums hold, and the names and clocks
// they refer to. Writes nothing. What is believed and why: docs/storage-format.md, "A damaged
// file". Memory: 20 bytes for each page and row; time: a few passes over the file, whatever is in
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "model/time.hpp"
#include "store/chunk.hpp"

namespace fieldpost {

struct SalvageReport {
  int64_t pages = 0;
  int64_t unreadable_pages = 0;  // at least; how many rows were on them is not known
  int64_t rows = 0;              // saved
  int64_t readings = 0;          // in them
  int64_t lost_rows = 0;         // seen, but damaged
  // Not only pages that are known to be in use were taken: rows that were acknowledged may be
  // among them.
  bool may_repeat = false;

  std::string text() const;  // one sentence for people
};

class Salvage {
 public:
  struct Row {
    int64_t id = 0;
    ChunkKey key;
    std::string_view body;  // its checksum holds
  };
  using Names = std::map<int64_t, std::string>;
  using Epochs = std::map<std::pair<int64_t, int64_t>, Epoch>;  // by (boot, since_ms)
  using MetaValue = std::variant<int64_t, std::string>;

  // `path` and, if it is there, `path`-wal. A file that is no outbox at all gives nothing, without
  // an error. Errors: NotFound, Io.
  static Result<Salvage> read(const std::string& path);
  Salvage(Salvage&&) noexcept;
  Salvage& operator=(Salvage&&) noexcept;
  ~Salvage();

  const Names& devices() const;     // Losant ids
  const Names& attributes() const;  // names
  const Names& boots() const;       // uuids
  const Epochs& epochs() const;
  // As far as it could be read: nothing checks it, and it stands only once.
  const std::map<std::string, MetaValue>& meta() const;

  // How far stage 1 had come (docs/storage-format.md, `state`); nothing if it cannot be read.
  struct State {
    int64_t stage = 0;
    int64_t stage_offset = 0;
    int64_t flushed = 0;
  };
  const std::optional<State>& state() const;

  // The schema that page 1 names; 0 if it cannot be read.
  int64_t schema() const;

  // The rows, ascending by id, no id twice. `take` gets a row that is valid during the call; its
  // first error ends it all and is returned.
  Result<> each_row(const std::function<Result<>(const Row&)>& take) const;

  const SalvageReport& report() const;

 private:
  struct Impl;
  explicit Salvage(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fieldpost
