// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/log.hpp"
#include "store/store_thread.hpp"

namespace fieldpost {
namespace {

int64_t points_of(std::span<const DeviceSample> samples) {
  int64_t points = 0;
  for (const DeviceSample& sample : samples) points += static_cast<int64_t>(sample.points.size());
  return points;
}

std::unique_ptr<StageLog> open_stage(const Store::Options& options, SymbolTable& symbols) {
  const StageLog::Options stage{
      .folder = options.run_folder, .bytes = options.stage_bytes, .boot_id = options.boot_id};
  auto log = StageLog::open(stage, symbols);
  if (log) return *std::move(log);
  log::error("readings do not survive a crash of the agent until they are on the disk",
             {{"FP_REASON", log.error().message}});
  auto memory = StageLog::open_in_memory(stage, symbols);
  if (memory) return *std::move(memory);
  log::error("no memory for stage 1", {{"FP_REASON", memory.error().message}});
  std::abort();  // the service manager tries again
}

}  // namespace

Store::Store(Options options, Sinks sinks, SymbolTable& symbols) {
  auto stage = open_stage(options, symbols);
  thread_ =
      std::make_shared<Thread>(std::move(options), std::move(sinks), symbols, std::move(stage));
}

void Store::start() {
  thread_->thread = std::thread([thread = thread_] { thread->run(); });
}

Store::~Store() {
  if (thread_->thread.joinable()) (void)stop(std::chrono::milliseconds(3000));
}

void Store::append(std::vector<DeviceSample> samples) {
  Thread& t = *thread_;
  for (DeviceSample& sample : samples) t.times.settle(sample);
  t.count_repeated(samples);
  t.drop_aged_in_stage();
  t.note_room_in_stage();
  auto appended = t.stage->append(samples);
  if (!appended && appended.error().code == Errc::Full && t.make_room_in_stage()) {
    appended = t.stage->append(samples);
  }
  if (!appended) {
    if (!t.losing.exchange(true)) {
      log::error("readings are lost", {{"FP_REASON", appended.error().message}});
    }
    t.lost += points_of(samples);
    return;
  }
  if (t.losing.exchange(false)) {
    log::notice("readings are kept again", {{"FP_LOST", std::to_string(t.lost)}});
  }
  t.appended += points_of(samples);
  if (t.options.disk_first) {
    t.post(Thread::Wake{});
  } else {
    t.sinks.committed(item_id::of_sample(t.stage->newest()));
  }
}

void Store::set_keep(KeepRules rules) {
  rules.merge(thread_->keep_rules);
  thread_->keep_rules = rules;
  thread_->post(std::move(rules));
}

void Store::fetch(Lane lane, int64_t after, size_t max_points) {
  Thread& t = *thread_;
  if (!t.options.disk_first && t.disk_is_open && lane != Lane::Backlog) {
    if (lane == Lane::Live && after > item_id::kBeforeAll) {
      return t.hand_out(t.take_live(after, max_points));
    }
    if (lane != Lane::Live) {
      if (auto staged = t.take_staged(lane, after, max_points)) {
        return t.hand_out(*std::move(staged));
      }
    }
  }
  t.post(Thread::Fetch{lane, after, max_points});
}

void Store::set_aside(DeviceIds devices) {
  const std::scoped_lock lock(thread_->mutex);
  thread_->set_aside = std::make_shared<const DeviceIds>(std::move(devices));
}

void Store::acknowledge(std::vector<int64_t> items) {
  Thread& t = *thread_;
  std::vector<int64_t> samples;
  std::vector<int64_t> rows;
  for (const int64_t id : items) {
    if (item_id::is_sample(id)) {
      samples.push_back(item_id::number_of(id));
    } else {
      rows.push_back(id);
    }
  }
  if (const auto kept = t.stage->acknowledge(samples, rows); !kept) {
    log::debug("an acknowledgement is not noted", {{"FP_REASON", kept.error().message}});
  }
  // What has not gone to the disk, nor is on its way there, is done with that.
  const int64_t flushing = t.flushing_up_to;
  std::erase_if(items, [&](int64_t id) {
    return item_id::is_sample(id) && item_id::number_of(id) > flushing;
  });
  if (!items.empty()) t.post(Thread::Acknowledge{std::move(items)});
}

void Store::keep_note(size_t note, std::string text) {
  const std::scoped_lock lock(thread_->mutex);
  thread_->notes.at(note).text = std::move(text);
}

Result<int64_t> Store::start_export(ExportRequest request) {
  const int64_t number = FP_TRY(thread_->exports.admit(std::move(request)));
  thread_->post(Thread::Wake{});
  return number;
}

Result<ExportOutcome> Store::export_outcome(int64_t number) const {
  return thread_->exports.outcome(number);
}

StoreStatus Store::status() const {
  StoreStatus status;
  {
    const std::scoped_lock lock(thread_->mutex);
    status = thread_->reported;
  }
  thread_->fill(status);
  const bool losing = thread_->losing;
  if (status.staged > 0 && !status.trouble.empty() && (losing || thread_->stage_was_full)) {
    status.trouble = std::string("there is no room for more in memory, ") +
                     (losing ? "readings are being lost: " : "old readings are thinned: ") +
                     status.trouble;
  }
  return status;
}

bool Store::stop(std::chrono::milliseconds limit) {
  if (!thread_->thread.joinable()) return false;
  thread_->post(Thread::Stop{BootClock::now() + limit});
  std::unique_lock lock(thread_->mutex);
  const bool ended = thread_->ended_changed.wait_for(lock, limit, [&] { return thread_->ended; });
  const bool stored = ended && thread_->all_stored;
  lock.unlock();
  if (ended) {
    thread_->thread.join();
  } else {
    thread_->thread.detach();
  }
  return stored;
}

}  // namespace fieldpost
