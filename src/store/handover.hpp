// SPDX-License-Identifier: Apache-2.0
//
// Samples that the uplink took from stage 1 and that went to the disk before they were
// acknowledged: a flush takes everything that is unacknowledged, also what is on its way. A row
// that has such samples is handed out sample by sample, under the numbers they had in stage 1, and
// goes when each of them is acknowledged: nothing is sent again because it moved. Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "model/symbol.hpp"
#include "store/row_set.hpp"

namespace fieldpost {

class Handover {
 public:
  struct Member {
    int64_t number = 0;  // of the sample
    int64_t ms = 0;      // its time as the row has it
    bool acknowledged = false;
  };
  // A sample of a row of which others wait.
  struct Part {
    int64_t row = 0;
    int64_t ms = 0;  // as in Member
  };
  struct Row {
    std::vector<Member> members;  // all samples of the row
    // The last sample that the same flush brought: what it brought of several devices is handed out
    // in one piece, as only then it is in the order of its numbers.
    int64_t last_of_flush = 0;
  };

  // A row that is to be handed out sample by sample.
  void add(int64_t row, Row members);
  // A sample of this time in the row was acknowledged in an earlier life of the process, where the
  // others of the row are not known.
  void leave_out(int64_t row, int64_t ms) { gone_[row].insert(ms); }

  const Row* find(int64_t row) const;
  const std::set<int64_t>* left_out(int64_t row) const;

  // A sample was acknowledged. Rows of which it was the last are added to `ret_done`; what it is of
  // others, to `ret_parts`.
  void acknowledge_sample(int64_t number, std::vector<int64_t>& ret_done,
                          std::vector<Part>& ret_parts);
  // The row is done.
  void forget(int64_t row);

 private:
  std::map<int64_t, Row> rows_;
  std::multimap<int64_t, int64_t> rows_of_;  // by number
  std::map<int64_t, std::set<int64_t>> gone_;
};

// Acknowledgements that nobody need note any more.
struct Settled {
  RowSet rows;  // deleted on the medium, or set aside, or not there when they were acknowledged
  std::vector<Handover::Part> parts;  // taken out of their rows on the medium
};

// A row that a flush has made, and the samples in it.
struct MadeRow {
  int64_t row = 0;
  Symbol device = nullptr;
  std::vector<Handover::Member> members;
};

}  // namespace fieldpost
