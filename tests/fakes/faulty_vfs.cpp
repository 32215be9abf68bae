// SPDX-License-Identifier: Apache-2.0
#include "fakes/faulty_vfs.hpp"

#include <sqlite3.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace fieldpost::testing {

struct FaultyVfs::Impl {
  sqlite3_vfs vfs{};
  sqlite3_vfs* real = nullptr;
  mutable std::mutex mutex;
  Policy policy;      // guarded by mutex
  int64_t calls = 0;  // guarded by mutex
  int64_t syncs = 0;  // guarded by mutex

  int decide(Call call) {
    Policy chosen;
    {
      const std::scoped_lock lock(mutex);
      call.number = ++calls;
      if (call.op == Op::Sync) ++syncs;
      chosen = policy;
    }
    if (call.path == nullptr) call.path = "";
    return chosen ? chosen(call) : SQLITE_OK;
  }
};

namespace {

using Op = FaultyVfs::Op;
using Decide = std::function<int(const FaultyVfs::Call&)>;

// SQLite allocates szOsFile bytes: this, and behind it the real file.
struct File {
  sqlite3_file base;
  const Decide* decide;
  const char* path;  // SQLite keeps it alive while the file is open
  sqlite3_file* real;
};

File* file_of(sqlite3_file* f) { return reinterpret_cast<File*>(f); }
sqlite3_file* real_of(sqlite3_file* f) { return file_of(f)->real; }
int ask(sqlite3_file* f, FaultyVfs::Call call) {
  call.path = file_of(f)->path;
  return (*file_of(f)->decide)(call);
}

int do_close(sqlite3_file* f) {
  sqlite3_file* real = real_of(f);
  return real->pMethods != nullptr ? real->pMethods->xClose(real) : SQLITE_OK;
}
int do_read(sqlite3_file* f, void* to, int size, sqlite3_int64 offset) {
  const int r = ask(f, {.op = Op::Read, .offset = offset, .size = size});
  if (r != SQLITE_OK) return r;
  return real_of(f)->pMethods->xRead(real_of(f), to, size, offset);
}
int do_write(sqlite3_file* f, const void* from, int size, sqlite3_int64 offset) {
  const int r = ask(f, {.op = Op::Write, .offset = offset, .size = size, .data = from});
  if (r == FaultyVfs::kHalf) {
    (void)real_of(f)->pMethods->xWrite(real_of(f), from, size / 2, offset);
    return SQLITE_IOERR_WRITE;
  }
  if (r != SQLITE_OK) return r;
  return real_of(f)->pMethods->xWrite(real_of(f), from, size, offset);
}
int do_truncate(sqlite3_file* f, sqlite3_int64 size) {
  if (const int r = ask(f, {.op = Op::Truncate, .offset = size}); r != SQLITE_OK) return r;
  return real_of(f)->pMethods->xTruncate(real_of(f), size);
}
int do_sync(sqlite3_file* f, int flags) {
  const int r = ask(f, {.op = Op::Sync, .flags = flags});
  if (r == FaultyVfs::kPretend) return SQLITE_OK;
  if (r != SQLITE_OK) return r;
  return real_of(f)->pMethods->xSync(real_of(f), flags);
}
int do_size(sqlite3_file* f, sqlite3_int64* ret) {
  return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}
int do_lock(sqlite3_file* f, int level) { return real_of(f)->pMethods->xLock(real_of(f), level); }
int do_unlock(sqlite3_file* f, int level) {
  return real_of(f)->pMethods->xUnlock(real_of(f), level);
}
int do_check_lock(sqlite3_file* f, int* ret) {
  return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}
int do_control(sqlite3_file* f, int op, void* arg) {
  if (op == SQLITE_FCNTL_SIZE_HINT) {  // allocates blocks: another place where a disk is full
    const int64_t size = *static_cast<sqlite3_int64*>(arg);
    if (const int r = ask(f, {.op = Op::Grow, .offset = size}); r != SQLITE_OK) return r;
  }
  return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}
int do_sector_size(sqlite3_file* f) { return real_of(f)->pMethods->xSectorSize(real_of(f)); }
int do_characteristics(sqlite3_file* f) {
  return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}
int do_shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** ret) {
  return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, ret);
}
int do_shm_lock(sqlite3_file* f, int offset, int n, int flags) {
  return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}
void do_shm_barrier(sqlite3_file* f) { real_of(f)->pMethods->xShmBarrier(real_of(f)); }
int do_shm_unmap(sqlite3_file* f, int remove) {
  return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

// Version 2: no memory maps, which would pass by the policy.
const sqlite3_io_methods kMethods = {2,
                                     do_close,
                                     do_read,
                                     do_write,
                                     do_truncate,
                                     do_sync,
                                     do_size,
                                     do_lock,
                                     do_unlock,
                                     do_check_lock,
                                     do_control,
                                     do_sector_size,
                                     do_characteristics,
                                     do_shm_map,
                                     do_shm_lock,
                                     do_shm_barrier,
                                     do_shm_unmap,
                                     nullptr,
                                     nullptr};

// What a vfs carries in pAppData.
struct AppData {
  sqlite3_vfs* real;
  Decide decide;
};
AppData& data_of(sqlite3_vfs* vfs) { return *static_cast<AppData*>(vfs->pAppData); }

int do_open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* f, int flags, int* ret) {
  auto* file = new (f) File{};
  file->decide = &data_of(vfs).decide;
  file->path = name;
  file->real = reinterpret_cast<sqlite3_file*>(reinterpret_cast<std::byte*>(f) + sizeof(File));
  int r = (*file->decide)({.op = Op::Open, .path = name, .flags = flags});
  if (r != SQLITE_OK) return r;
  r = data_of(vfs).real->xOpen(data_of(vfs).real, name, file->real, flags, ret);
  if (file->real->pMethods != nullptr) file->base.pMethods = &kMethods;
  return r;
}
int do_delete(sqlite3_vfs* vfs, const char* name, int sync) {
  const int r = data_of(vfs).decide({.op = Op::Delete, .path = name, .flags = sync});
  if (r != SQLITE_OK) return r;
  return data_of(vfs).real->xDelete(data_of(vfs).real, name, sync);
}
int do_access(sqlite3_vfs* vfs, const char* name, int flags, int* ret) {
  return data_of(vfs).real->xAccess(data_of(vfs).real, name, flags, ret);
}
int do_full_path(sqlite3_vfs* vfs, const char* name, int size, char* ret) {
  return data_of(vfs).real->xFullPathname(data_of(vfs).real, name, size, ret);
}
int do_randomness(sqlite3_vfs* vfs, int size, char* ret) {
  return data_of(vfs).real->xRandomness(data_of(vfs).real, size, ret);
}
int do_sleep(sqlite3_vfs* vfs, int usec) {
  return data_of(vfs).real->xSleep(data_of(vfs).real, usec);
}
int do_time(sqlite3_vfs* vfs, double* ret) {
  return data_of(vfs).real->xCurrentTime(data_of(vfs).real, ret);
}
int do_last_error(sqlite3_vfs* vfs, int size, char* ret) {
  return data_of(vfs).real->xGetLastError(data_of(vfs).real, size, ret);
}

}  // namespace

FaultyVfs::FaultyVfs() : impl_(std::make_unique<Impl>()) {
  impl_->real = sqlite3_vfs_find(nullptr);
  sqlite3_vfs& vfs = impl_->vfs;
  vfs.iVersion = 1;
  vfs.szOsFile = static_cast<int>(sizeof(File)) + impl_->real->szOsFile;
  vfs.mxPathname = impl_->real->mxPathname;
  vfs.zName = "faulty";
  vfs.pAppData = new AppData{impl_->real,
                             [impl = impl_.get()](const Call& call) { return impl->decide(call); }};
  vfs.xOpen = do_open;
  vfs.xDelete = do_delete;
  vfs.xAccess = do_access;
  vfs.xFullPathname = do_full_path;
  vfs.xRandomness = do_randomness;
  vfs.xSleep = do_sleep;
  vfs.xCurrentTime = do_time;
  vfs.xGetLastError = do_last_error;
  sqlite3_vfs_register(&vfs, 1);
}

FaultyVfs::~FaultyVfs() {
  sqlite3_vfs_unregister(&impl_->vfs);
  sqlite3_vfs_register(impl_->real, 1);
  delete static_cast<AppData*>(impl_->vfs.pAppData);
}

void FaultyVfs::set_policy(Policy policy) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->policy = std::move(policy);
  impl_->calls = 0;
  impl_->syncs = 0;
}

int64_t FaultyVfs::calls() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->calls;
}

int64_t FaultyVfs::syncs() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->syncs;
}

FaultyVfs::Policy FaultyVfs::fail_nth(int64_t n, int code, bool for_good) {
  return [n, code, for_good, seen = std::make_shared<int64_t>(0)](const Call& call) {
    if (!changing(call.op)) return SQLITE_OK;
    ++*seen;
    return *seen == n || (for_good && *seen > n) ? code : SQLITE_OK;
  };
}

}  // namespace fieldpost::testing
