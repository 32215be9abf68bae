// SPDX-License-Identifier: Apache-2.0
#include "config/profiles.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "config/options.hpp"
#include "config/read.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".toml";
constexpr const char* kTitle = "title";
constexpr const char* kSource = "source";

std::string text_at(const Node& row, std::string_view key) {
  const Member* given = row.find(key);
  return given != nullptr && is_text(given->value) ? std::get<std::string>(given->value.value) : "";
}

// What one unit of a table takes from its profile.
class Merge {
 public:
  Merge(const Node& unit, const PluginInfo& info, std::string path, Problems& problems)
      : unit_(unit), info_(&info), path_(std::move(path)), problems_(&problems) {}

  Node take(Node profile) {
    take_out(profile, path_, {kTitle, kSource}, {"name", "device", "profile", "prefix"});
    Node merged = unit_;
    for (Member& member : profile.members) {
      const auto table = std::ranges::find(info_->tables, member.key, &TableSpec::name);
      if (table != info_->tables.end() && member.value.kind == Node::Kind::Rows) {
        prepare(member.value, *table);
        put_before(merged, std::move(member));
      } else if (merged.find(member.key) == nullptr) {
        merged.members.push_back(std::move(member));
      }
    }
    return merged;
  }

 private:
  // Keys that only a profile has go without a trace, those that say where a device is with a
  // message.
  void take_out(Node& node, const std::string& path, const std::set<std::string>& own,
                const std::set<std::string>& refused) {
    std::erase_if(node.members, [&](const Member& member) {
      if (refused.contains(member.key)) {
        problems_->error(member.at, join(path, member.key) +
                                        ": a profile says what a device has, not which one it is; "
                                        "this belongs in the configuration");
        return true;
      }
      if (!own.contains(member.key)) return false;
      if (!is_text(member.value)) {
        problems_->error(member.value.at,
                         join(path, member.key) + ": expected text, got " + describe(member.value));
      }
      return true;
    });
  }

  void prepare(Node& rows, const TableSpec& table) {
    const std::string path = join(path_, table.name);
    const std::string prefix = text_at(unit_, "prefix");
    for (Node& row : rows.items) {
      take_out(row, path, {kSource}, {"device"});
      for (const OptionSpec& spec : table.options) {
        Member* member = row.find(spec.name);
        if (member == nullptr || !is_text(member->value)) continue;
        auto& text = std::get<std::string>(member->value.value);
        const bool is_attribute = spec.type == OptionType::Attribute && is_attribute_name(text);
        const bool is_command = spec.type == OptionType::Command && is_command_name(text);
        if (!is_attribute && !is_command) continue;
        if (is_attribute_name(prefix)) text.insert(0, prefix);
        // A name that is taken already is the unit's doing: another has the same profile.
        member->value.at = value_at(unit_, "profile");
      }
    }
    const Member* own = unit_.find(table.name);
    if (own == nullptr || own->value.kind != Node::Kind::Rows) return;
    for (const OptionSpec& spec : table.options) {
      if (spec.type == OptionType::Attribute) drop_replaced(rows, own->value, spec.name);
    }
  }

  static void drop_replaced(Node& rows, const Node& own, const std::string& option) {
    std::erase_if(rows.items, [&](const Node& row) {
      return std::ranges::any_of(own.items, [&](const Node& mine) {
        return !text_at(mine, option).empty() && text_at(mine, option) == text_at(row, option);
      });
    });
  }

  static void put_before(Node& merged, Member rows) {
    Member* own = merged.find(rows.key);
    if (own == nullptr) {
      merged.members.push_back(std::move(rows));
    } else if (own->value.kind == Node::Kind::Rows) {
      std::ranges::move(own->value.items, std::back_inserter(rows.value.items));
      own->value.items = std::move(rows.value.items);
    }
  }

  const Node& unit_;
  const PluginInfo* info_;
  std::string path_;
  Problems* problems_;
};

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

}  // namespace

std::vector<std::string> profiles_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  const fs::directory_iterator end;
  for (fs::directory_iterator type(folder, error); !error && type != end; type.increment(error)) {
    if (is_hidden(type->path())) continue;
    std::error_code ignored;  // it is no folder
    for (fs::directory_iterator file(type->path(), ignored); !ignored && file != end;
         file.increment(ignored)) {
      const fs::path& path = file->path();
      if (path.extension() != kExtension || is_hidden(path)) continue;
      names.push_back((type->path().filename() / path.filename()).string());
    }
  }
  return names;
}

std::map<std::string, std::string> list_profiles(const std::vector<std::string>& folders,
                                                 const std::string& type) {
  std::map<std::string, std::string> all;
  for (const std::string& folder : folders) {
    std::error_code error;
    const fs::directory_iterator end;
    for (fs::directory_iterator it(fs::path(folder) / type, error); !error && it != end;
         it.increment(error)) {
      const fs::path& file = it->path();
      if (file.extension() != kExtension || all.contains(file.stem().string())) continue;
      const auto root =
          parse_toml(file.string(), read_regular_file(file.string(), kMaxFile).value_or(""));
      all[file.stem().string()] = root ? text_at(*root, kTitle) : "";
    }
  }
  return all;
}

Profiles::Profiles(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    if (std::ranges::find(folders_, folder) == folders_.end()) folders_.push_back(folder);
  }
  if (folders_.empty()) return;
  for (const std::string& name : profiles_in(folders_.front())) {
    own_.emplace(name, read_regular_file((fs::path(folders_.front()) / name).string(), kMaxFile));
  }
}

std::map<std::string, std::string> Profiles::own() const {
  std::map<std::string, std::string> readable;
  for (const auto& [name, content] : own_) {
    if (content) readable[name] = *content;
  }
  return readable;
}

std::string Profiles::not_found(const std::string& type, const std::string& name) const {
  std::string places;
  for (const std::string& folder : folders_) {
    places += (places.empty() ? "" : ", ") + (fs::path(folder) / type).string();
  }
  const auto all = list_profiles(folders_, type);
  std::vector<std::string_view> names;
  for (const auto& [known, title] : all) names.emplace_back(known);
  return "no profile of " + type + " is called '" + name + "'" + did_you_mean(name, names) +
         " (there is no " + name + kExtension + " in " + places + ")";
}

std::optional<Node> Profiles::read(const std::string& type, const std::string& name,
                                   const Location& at, const std::string& path,
                                   Problems& problems) {
  std::error_code ignored;
  const std::string key = (fs::path(type) / (name + kExtension)).string();
  const auto own = own_.find(key);
  const auto folder = std::ranges::find_if(folders_, [&](const std::string& f) {
    if (f == folders_.front()) return own != own_.end();
    return fs::exists(fs::path(f) / key, ignored);
  });
  if (folder == folders_.end()) {
    problems.error(at, path + ": " + not_found(type, name));
    return std::nullopt;
  }
  const std::string file = (fs::path(*folder) / key).string();
  const auto content = own != own_.end() ? own->second : read_regular_file(file, kMaxFile);
  if (!content) {
    problems.error(at, path + ": '" + file + "' " + content.error().message);
    return std::nullopt;
  }
  files_[key] = *content;
  auto root = parse_toml(file, *content);
  if (root) return *std::move(root);
  problems.error(root.error().at, root.error().text);
  return std::nullopt;
}

Node Profiles::with_profile(const Node& unit, const PluginInfo& info, const std::string& path,
                            Problems& problems) {
  const std::string name = text_at(unit, "profile");
  if (!is_local_name(name)) {  // which is said where the unit's own keys are read
    if (const Member* prefix = unit.find("prefix"); prefix != nullptr && name.empty()) {
      problems.error(prefix->at, join(path, "prefix") + ": expected profile beside it");
    }
    return unit;
  }
  auto profile = read(info.type, name, value_at(unit, "profile"), join(path, "profile"), problems);
  return profile ? Merge(unit, info, path, problems).take(*std::move(profile)) : unit;
}

}  // namespace fieldpost
