// SPDX-License-Identifier: Apache-2.0
//
// What the store costs its disk: bytes that the block layer wrote and syncs, on the readings of
// bench/field.hpp. disk.py gives it a file system of its own, so nothing else is counted.
//
//   bench_disk --dir DIR [--mode MODE] [--interval S] [--devices N] [--warm-up S] [--seconds S]
//
//   floor    a preallocated file to which each flush appends its chunks, and one fdatasync: what
//   the
//            simplest log of the same bytes would cost
//   offline  the outbox takes each flush and sends nothing
//   late     each flush is acknowledged after it was stored, and deleted with the next
//   online   the whole store, each sample acknowledged at once; in real time, ten samples a second
//
// All but `online` run in simulated time; every 30 simulated seconds the file system is synced, as
// the kernel's write-back does it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.hpp"
#include "field.hpp"
#include "store/chunk.hpp"
#include "store/outbox.hpp"
#include "store/store.hpp"

namespace {
std::atomic<int64_t> syncs{0};
}

// SQLite's calls end here: a definition in the program comes before that of the C library.
extern "C" [[gnu::visibility("default")]] int fdatasync(int fd) {
  ++syncs;
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
extern "C" [[gnu::visibility("default")]] int fsync(int fd) {
  ++syncs;
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using bench::Field;
using bench::kAttributes;

constexpr int64_t kWriteBack = 30;  // s; vm.dirty_expire_centisecs

struct Arguments {
  std::string mode = "offline";
  std::string dir;
  int64_t interval = 5;
  size_t devices = 1;
  int64_t warm_up = 7200;
  int64_t seconds = 3600;
};

// Of the block device that holds the folder (Documentation/block/stat.rst: the seventh figure, in
// units of 512 bytes).
class Device {
 public:
  explicit Device(const std::string& dir) : folder_(::open(dir.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    if (::fstat(folder_.get(), &info) != 0) return;
    path_ = "/sys/dev/block/" + std::to_string(major(info.st_dev)) + ":" +
            std::to_string(minor(info.st_dev)) + "/stat";
  }
  void write_back() const { ::syncfs(folder_.get()); }
  int64_t written() const {
    std::ifstream stat(path_);
    std::array<int64_t, 7> figures{};
    for (int64_t& figure : figures) stat >> figure;
    return stat ? figures[6] * 512 : -1;
  }

 private:
  UniqueFd folder_;
  std::string path_;
};

struct Figures {
  int64_t bytes = 0;
  int64_t syncs = 0;
  int64_t flushes = 0;
  int64_t readings = 0;
};

// Until the clock has moved on that files get their times from, which has steps of milliseconds:
// else a fast machine writes a file twice at one time, and the second time costs nothing.
void wait_for_tick() {
  const auto tick = [] {
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return t.tv_nsec;
  };
  for (const auto before = tick(); tick() == before;) std::this_thread::sleep_for(500us);
}

// Runs `flush(first number, second)` through the warm-up, and then through what is measured.
template <class Flush>
Result<Figures> measure(const Arguments& a, const Device& device, Flush flush) {
  Figures figures;
  int64_t written_back = 0;
  for (int64_t second = 0; second < a.warm_up + a.seconds; second += a.interval) {
    if (second >= a.warm_up && figures.flushes == 0) {
      device.write_back();
      figures.bytes = -device.written();
      syncs = 0;
    }
    wait_for_tick();
    FP_CHECK_OK(flush(second));
    if (second - written_back >= kWriteBack) {
      device.write_back();
      written_back = second;
    }
    if (second < a.warm_up) continue;
    ++figures.flushes;
    figures.readings += a.interval * static_cast<int64_t>(kAttributes);
  }
  figures.syncs = syncs;
  device.write_back();
  figures.bytes += device.written();
  return figures;
}

class Samples {
 public:
  explicit Samples(const Arguments& a)
      : devices_(a.devices),
        field_(a.devices),
        samples_(a.devices * static_cast<size_t>(a.interval)) {}
  // Those of a flush that begins at `second`.
  const std::vector<Staged>& take(int64_t second) {
    for (size_t i = 0; i < samples_.size(); ++i) {
      samples_[i].number = ++number_;
      field_.take(i % devices_, second + static_cast<int64_t>(i / devices_), &samples_[i].sample);
    }
    return samples_;
  }

 private:
  size_t devices_;
  Field field_;
  std::vector<Staged> samples_;
  int64_t number_ = 0;
};

Result<Figures> run_floor(const Arguments& a, const Device& device) {
  constexpr off_t kLogBytes = off_t{16} << 20;
  Samples samples(a);
  UniqueFd log(::open((a.dir + "/log").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const std::vector<char> zeros(kLogBytes);  // written, so that no extent is converted later
  if (!log || ::pwrite(log.get(), zeros.data(), zeros.size(), 0) != kLogBytes) {
    return Error::from_errno(errno, "make the log");
  }
  ::fsync(log.get());
  off_t end = 0;
  std::unordered_map<Symbol, ChunkWriter> writers;
  uint32_t names = 0;
  std::string record;
  return measure(a, device, [&](int64_t second) -> Result<> {
    for (const Staged& s : samples.take(second)) {
      ChunkWriter& writer = writers[s.sample.device];
      for (const Point& point : s.sample.points) {
        if (writer.add(s.sample.time.ms, point) == ChunkWriter::Added::Yes) continue;
        writer.learn(point.attribute, ++names);
        (void)writer.add(s.sample.time.ms, point);
      }
    }
    record.clear();
    for (auto& [id, writer] : writers) record += writer.encode(1, 1);
    if (end + static_cast<off_t>(record.size()) > kLogBytes) end = 0;
    if (::pwrite(log.get(), record.data(), record.size(), end) < 0 || ::fdatasync(log.get()) != 0) {
      return Error::from_errno(errno, "write the log");
    }
    end += static_cast<off_t>(record.size());
    return {};
  });
}

Result<Figures> run_outbox(const Arguments& a, const Device& device) {
  Samples samples(a);
  SymbolTable symbols;
  auto outbox = FP_TRY(Outbox::open({.folder = a.dir, .boot_id = "bench"}, symbols));
  outbox.add_epoch({.since_ms = 0, .offset_ms = 0});
  int64_t after = item_id::kBeforeAll;
  return measure(a, device, [&](int64_t second) -> Result<> {
    const auto& taken = samples.take(second);
    FP_CHECK_OK(outbox.append(taken, taken.back().number));
    if (a.mode != "late") return {};
    std::vector<int64_t> rows;
    for (const Chunk& chunk : FP_TRY(outbox.fetch(after, SIZE_MAX))) rows.push_back(chunk.row);
    if (rows.empty()) return Error{Errc::Io, "nothing came back"};
    after = rows.back();
    return outbox.acknowledge(rows);
  });
}

Result<Figures> run_online(const Arguments& a, const Device& device) {
  constexpr auto kPause = 100ms;
  std::filesystem::create_directory(a.dir + "/state");
  SymbolTable symbols;
  std::atomic<int64_t> held{0};
  Store* uplink = nullptr;
  Store store({.folder = a.dir + "/state",
               .run_folder = "/nonexistent",  // so stage 1 is kept in memory
               .boot_id = "bench",
               .flush_interval = std::chrono::seconds(a.interval)},
              {.committed = [](int64_t) {},
               .stored = [](int64_t) {},
               .chunks =
                   [&](const Fetched& fetched) {
                     std::vector<int64_t> items;
                     for (const Chunk& chunk : fetched.chunks) items.push_back(chunk.row);
                     if (items.empty()) return;
                     held = items.back();
                     uplink->acknowledge(std::move(items));
                   },
               .backlog = [] {},
               .status = [](const StoreStatus&) {},
               .clock = [] {}},
              symbols);
  uplink = &store;
  FP_CHECK_OK(store.keep_clock(
      {}, {.append = Epoch{.since_ms = 0, .offset_ms = 0, .estimated = true}, .may_send = true}));
  store.start();
  Field field(a.devices);
  Figures figures;
  const int64_t warm_up = std::min<int64_t>(a.warm_up, 50);
  const int64_t end = warm_up + a.seconds;
  for (int64_t second = 0; second < end; ++second) {
    if (second == warm_up) {
      device.write_back();
      figures.bytes = -device.written();
      syncs = 0;
    }
    std::vector<DeviceSample> samples(a.devices);
    for (size_t d = 0; d < a.devices; ++d) field.take(d, second, &samples[d]);
    store.append(std::move(samples));
    std::this_thread::sleep_for(kPause);  // the pace of the load, nothing is waited for
    store.fetch(Lane::All, held, SIZE_MAX);
    if (second >= warm_up) figures.readings += static_cast<int64_t>(kAttributes);
  }
  figures.syncs = syncs;
  device.write_back();
  figures.bytes += device.written();
  if (store.status().waiting() > 0) return Error{Errc::Io, "not everything was acknowledged"};
  return figures;
}

Result<> run(const Arguments& a) {
  const Device device(a.dir);
  if (device.written() < 0) {
    return Error{Errc::Unavailable, "'" + a.dir + "' is on no block device of its own"};
  }
  const Figures f = FP_TRY(a.mode == "floor"    ? run_floor(a, device)
                           : a.mode == "online" ? run_online(a, device)
                                                : run_outbox(a, device));
  std::printf("{\"mode\": \"%s\", \"interval_s\": %lld, \"readings\": %lld, ", a.mode.c_str(),
              static_cast<long long>(a.interval), static_cast<long long>(f.readings));
  std::printf("\"device_bytes\": %lld, \"flushes\": %lld, \"syncs\": %lld}\n",
              static_cast<long long>(f.bytes), static_cast<long long>(f.flushes),
              static_cast<long long>(f.syncs));
  return {};
}

}  // namespace
}  // namespace fieldpost

int main(int argc, char** argv) {
  fieldpost::Arguments a;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto number = std::strtoll(argv[i + 1], nullptr, 10);
    if (name == "--mode") a.mode = argv[i + 1];
    if (name == "--dir") a.dir = argv[i + 1];
    if (name == "--interval") a.interval = number;
    if (name == "--devices") a.devices = static_cast<size_t>(number);
    if (name == "--warm-up") a.warm_up = number;
    if (name == "--seconds") a.seconds = number;
  }
  const auto done = fieldpost::run(a);
  if (!done) std::fprintf(stderr, "bench_disk: %s\n", done.error().message.c_str());
  return done ? 0 : 1;
}
