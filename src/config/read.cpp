// SPDX-License-Identifier: Apache-2.0
#include "config/read.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/file.hpp"
#include "config/options.hpp"
#include "config/tables.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFiles = 1000;

bool has_subsections(const std::string& name) {
  return std::ranges::any_of(core_sections(), [&](const CoreSection& section) {
    return section.name.starts_with(name + ".");
  });
}

// Takes out, with a message, what is not of the kind its section is: so that what is merged can
// be merged. Keys that no section has are left for later.
void keep_well_formed(Node& table, const std::string& path, Problems& problems) {
  std::erase_if(table.members, [&](Member& member) {
    const std::string name = join(path, member.key);
    const CoreSection* section = find_section(name);
    if (section == nullptr) return false;
    if (section->repeats) return !expect_rows(member.value, member.at, name, problems);
    if (!expect_table(member.value, member.at, name, problems)) return true;
    if (has_subsections(name)) keep_well_formed(member.value, name, problems);
    return false;
  });
}

// Tables are merged, rows appended, and of two values the later one counts.
void merge(Node& into, Node from) {
  for (Member& member : from.members) {
    Member* earlier = into.find(member.key);
    if (earlier == nullptr) {
      into.members.push_back(std::move(member));
    } else if (earlier->value.kind == Node::Kind::Table && member.value.kind == Node::Kind::Table) {
      merge(earlier->value, std::move(member.value));
    } else if (earlier->value.kind == Node::Kind::Rows && member.value.kind == Node::Kind::Rows) {
      std::ranges::move(member.value.items, std::back_inserter(earlier->value.items));
    } else {
      *earlier = std::move(member);
    }
  }
}

std::vector<std::string> drop_ins(const fs::path& folder, Problems& problems) {
  std::vector<std::string> found;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    // Hidden files are what editors leave behind.
    if (!name.ends_with(".toml") || name.starts_with('.')) continue;
    found.push_back(it->path().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    problems.error({folder.string(), 0, 0}, error.message());
    problems.set_incomplete();
  }
  std::ranges::sort(found);
  if (found.size() > kMaxFiles) {
    problems.error({folder.string(), 0, 0}, "expected at most " + std::to_string(kMaxFiles) +
                                                " files, got " + std::to_string(found.size()));
    problems.set_incomplete();
    found.resize(kMaxFiles);
  }
  return found;
}

void add_file(const std::string& path, Sources& sources, Problems& problems) {
  sources.read.push_back(path);
  auto content = read_regular_file(path, kMaxFile);
  if (!content) {
    problems.error({path, 0, 0}, content.error().message);
    problems.set_incomplete();
    return;
  }
  auto root = parse_toml(path, *content);
  sources.files.emplace_back(path, *std::move(content));
  if (!root) {
    problems.error(root.error().at, root.error().text);
    problems.set_incomplete();
    return;
  }
  keep_well_formed(*root, "", problems);
  if (sources.root.at.file.empty()) sources.root.at = root->at;
  merge(sources.root, *std::move(root));
}

}  // namespace

Result<std::string> read_regular_file(const std::string& path, size_t limit) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return Error{Errc::NotFound, "does not exist"};
  if (::access(path.c_str(), R_OK) !=
      0) {  // `check` may run as anybody, the service as its own user
    return Error{Errc::Io, "cannot be read by this user (uid " + std::to_string(::geteuid()) +
                               "): " + std::generic_category().message(errno)};
  }
  if (error) return Error{Errc::Io, "cannot be read: " + error.message()};
  if (status.type() != fs::file_type::regular) {
    return Error{Errc::Invalid,
                 fs::is_directory(status) ? "is a folder, not a file" : "is not a regular file"};
  }
  if (const auto size = fs::file_size(path, error); !error && size > limit) {
    return Error{Errc::Invalid, "is too large: expected at most " + std::to_string(limit) +
                                    " bytes, got " + std::to_string(size)};
  }
  return read_file(path, limit).context("cannot be read");
}

Sources read_sources(const std::string& path, Problems& problems) {
  Sources sources;
  std::error_code error;
  const bool folder = fs::is_directory(path, error);
  const fs::path main = folder ? fs::path(path) / kMainFile : fs::path(path);
  sources.main_file = main.string();
  if (path.empty()) {
    problems.error({}, "the path of the configuration is empty");
    problems.set_incomplete();
    return sources;
  }
  const auto extras = drop_ins(main.parent_path() / kDropInFolder, problems);
  // What is in conf.d may be all there is; a file that was asked for by name must be there.
  if (!folder || extras.empty() || fs::exists(main, error)) {
    add_file(sources.main_file, sources, problems);
  }
  for (const std::string& extra : extras) add_file(extra, sources, problems);
  if (sources.root.at.file.empty()) sources.root.at = {sources.main_file, 1, 1};
  return sources;
}

}  // namespace fieldpost
