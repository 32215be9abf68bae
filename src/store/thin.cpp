// SPDX-License-Identifier: Apache-2.0
#include "store/thin.hpp"

#include <algorithm>
#include <span>
#include <unordered_map>

namespace fieldpost {
namespace {

// A reading in its place. Points stay where they are until it is known which of them are kept.
struct Entry {
  int64_t ms = 0;
  Point* point = nullptr;
  bool kept = false;
};
using Entries = std::span<Entry*>;

struct Column {
  Symbol attribute = nullptr;
  std::vector<Entry*> entries;  // ascending, times unique
};

double number(const Entry* entry) { return std::get<double>(entry->point->value); }

int64_t hour_of(int64_t utc_ms) {
  return utc_ms / kThinHourMs - (utc_ms % kThinHourMs < 0 ? 1 : 0);
}

// Calls `each` with every longest piece whose neighbours are all `alike`.
template <class Alike, class Each>
void split(Entries entries, Alike alike, Each each) {
  size_t begin = 0;
  for (size_t i = 1; i <= entries.size(); ++i) {
    if (i < entries.size() && alike(entries[i - 1], entries[i])) continue;
    each(entries.subspan(begin, i - begin));
    begin = i;
  }
}

bool equal_values(const Entry* a, const Entry* b) { return a->point->value == b->point->value; }

void keep_extremes(Entries entries) {
  std::vector<Entry*> left;  // without the insides of constant stretches
  split(entries, equal_values, [&](Entries equal) {
    left.push_back(equal.front());
    if (equal.size() > 1) left.push_back(equal.back());
  });
  for (size_t i = 0; i < left.size(); i += 4) {
    const Entries four = Entries(left).subspan(i, std::min<size_t>(4, left.size() - i));
    if (four.size() <= 2) {
      for (Entry* entry : four) entry->kept = true;
      continue;
    }
    // The first of the least and the last of the greatest, so never one reading for both.
    const auto by_number = [](const Entry* a, const Entry* b) { return number(a) < number(b); };
    const auto [least, greatest] = std::ranges::minmax_element(four, by_number);
    (*least)->kept = true;
    (*greatest)->kept = true;
  }
}

void keep_changes(Entries entries) {
  split(entries, equal_values, [](Entries equal) { equal.front()->kept = true; });
  entries.back()->kept = true;
}

void thin_column(Column& column, Keep keep, int64_t utc_offset_ms) {
  if (keep == Keep::All) {
    for (Entry* entry : column.entries) entry->kept = true;
    return;
  }
  if (keep == Keep::Newest) {
    column.entries.back()->kept = true;
    return;
  }
  const auto same_hour_and_type = [&](const Entry* a, const Entry* b) {
    return a->point->value.index() == b->point->value.index() &&
           hour_of(a->ms + utc_offset_ms) == hour_of(b->ms + utc_offset_ms);
  };
  split(column.entries, same_hour_and_type, [](Entries stretch) {
    const bool numbers = std::holds_alternative<double>(stretch.front()->point->value);
    numbers ? keep_extremes(stretch) : keep_changes(stretch);
  });
}

std::vector<Entry> entries_of(std::vector<State>& states) {
  // Rows of one device may overlap by a little: what came late.
  std::ranges::stable_sort(states, {}, &State::time_ms);
  std::vector<Entry> entries;
  for (State& state : states) {
    for (Point& point : state.points) entries.push_back({state.time_ms, &point});
  }
  return entries;
}

std::vector<Column> columns_of(std::vector<Entry>& entries) {
  std::vector<Column> columns;
  std::unordered_map<Symbol, size_t> index;
  for (Entry& entry : entries) {
    const auto [it, is_new] = index.emplace(entry.point->attribute, columns.size());
    if (is_new) columns.push_back({entry.point->attribute, {}});
    auto& column = columns[it->second].entries;
    if (!column.empty()) entry.ms = std::max(entry.ms, column.back()->ms + 1);
    column.push_back(&entry);
  }
  return columns;
}

std::vector<State> kept_states(std::vector<Entry>& entries) {
  std::erase_if(entries, [](const Entry& entry) { return !entry.kept; });
  // One that was moved may have overtaken its neighbours.
  std::ranges::stable_sort(entries, {}, &Entry::ms);
  std::vector<State> states;
  for (const Entry& entry : entries) {
    if (states.empty() || states.back().time_ms != entry.ms) states.push_back({entry.ms, {}});
    states.back().points.push_back(std::move(*entry.point));
  }
  return states;
}

}  // namespace

Thinned thin(std::vector<State> states, const std::function<Keep(Symbol)>& keep_of,
             int64_t utc_offset_ms) {
  std::vector<Entry> entries = entries_of(states);
  Thinned out;
  out.before = static_cast<int64_t>(entries.size());
  for (Column& column : columns_of(entries)) {
    thin_column(column, keep_of(column.attribute), utc_offset_ms);
    const auto gone =
        std::ranges::count_if(column.entries, [](const Entry* entry) { return !entry->kept; });
    if (gone > 0) out.gone.emplace_back(column.attribute, gone);
  }
  out.states = kept_states(entries);
  out.after = static_cast<int64_t>(entries.size());
  return out;
}

uint8_t round_after(uint8_t round, const Thinned& thinned) {
  const bool last = (thinned.before - thinned.after) * 8 < thinned.before;
  return last || round >= kFullyThinned - 1 ? kFullyThinned : static_cast<uint8_t>(round + 1);
}

}  // namespace fieldpost
