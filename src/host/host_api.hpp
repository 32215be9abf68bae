// SPDX-License-Identifier: Apache-2.0
//
// What a plugin may ask of its host (fp_host), for one instance. Everything that comes from the
// plugin is checked here; nothing behind this class meets a value that is out of bounds.
#pragma once

#include <fieldpost/plugin.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/line_log.hpp"
#include "host/packed_config.hpp"
#include "host/report_filter.hpp"
#include "model/kept_value.hpp"
#include "model/message.hpp"
#include "model/plugin_info.hpp"

namespace fieldpost {

class HostApi {
 public:
  // Declaring: declare_… and problem are allowed. Opening: declare_… again, with the same
  // arguments; emit. Running: emit.
  enum class Phase : uint8_t { Declaring, Opening, Running };
  // Takes samples away before the running call has ended, because they have become many.
  using Sink = std::function<void(message::Samples&&)>;

  // `log` outlives this object. Not movable: the plugin keeps a pointer to it.
  // `kept` is what processes before this one have kept.
  HostApi(const InstanceConfig& config, const std::vector<KeptValue>& kept, LineLog& log,
          Sink sink);
  HostApi(const HostApi&) = delete;
  HostApi& operator=(const HostApi&) = delete;

  const fp_host* raw() const { return &raw_; }
  void enter(Phase phase) { phase_ = phase; }
  // From now on readings pass it; before, nothing is to be emitted.
  void filter_by(ReportFilter filter) { filter_ = std::move(filter); }
  ReportFilter& filter() { return filter_; }

  // What was declared; or, for a plugin that does not declare for itself, set by the runner.
  const Declaration& declaration() const { return declaration_; }
  void adopt(Declaration declaration) { declaration_ = std::move(declaration); }
  std::vector<message::Problem> take_problems() { return std::exchange(problems_, {}); }
  // Whether what was declared while opening is not what was declared before: why not, or empty.
  std::string difference() const;

  // What the call that has just ended said about its failure, and what it emitted.
  std::string take_error() { return std::exchange(error_, {}); }
  message::Samples take_samples();
  // What is kept and was not taken yet. To be sent before the samples that were emitted until now.
  bool has_kept() const { return !news_.empty(); }
  message::Keep take_kept();
  // The remarks that are new since, one for each attribute.
  std::vector<message::Remark> take_remarks();

 private:
  fp_status keep(const char* key, int64_t value);
  fp_status remark(uint32_t attribute, std::string_view text);
  fp_status get(fp_section section, const char* option, fp_value* ret) const;
  int32_t declare_attribute(uint32_t unit, fp_section section, const fp_attribute* row);
  int32_t declare_command(uint32_t unit, fp_section section, const fp_command* row);
  template <class Entry>
  int32_t declare(Result<Entry> entry, std::vector<Entry>& list, size_t& again, size_t limit);
  void problem(fp_section section, std::string_view option, std::string_view text);
  fp_status emit(int64_t boottime_ns, const fp_reading* readings, size_t n);
  Result<Sample> to_sample(int64_t boottime_ns, const fp_reading* readings, size_t n,
                           size_t& ret_bytes) const;
  Result<> to_reading(const fp_reading& row, Reading& ret) const;
  Result<> check_place(uint32_t unit, fp_section section) const;

  const PackedConfig config_;
  LineLog& log_;
  Sink sink_;
  fp_host raw_{};
  Phase phase_ = Phase::Declaring;
  Declaration declaration_;
  size_t attributes_again_ = 0, commands_again_ = 0;  // declared while opening
  std::string difference_;
  std::vector<message::Problem> problems_;
  std::string error_;
  std::map<std::string, int64_t, std::less<>> kept_;
  std::set<std::string> own_keys_;  // that this process has kept
  std::set<std::string> news_;      // of which nobody was told
  std::map<uint32_t, std::string> remarks_;
  std::set<uint32_t> new_remarks_;
  ReportFilter filter_;
  std::vector<Sample> samples_;
  size_t sample_bytes_ = 0, sample_readings_ = 0;  // at most, of samples_
};

}  // namespace fieldpost
