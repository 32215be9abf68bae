// SPDX-License-Identifier: Apache-2.0
#include "config/custom_tables.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.hpp"
#include "config/forms.hpp"
#include "config/into.hpp"
#include "model/names.hpp"
#include "model/template.hpp"
#include "model/topic.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxTopic = 1000;  // bytes, as it is written

constexpr const char* kPublishTopic =
    "a topic outside losant/, in which ${device} and ${attribute} are filled in";
constexpr const char* kPayload =
    "text, in which ${device}, ${attribute}, ${value} and ${time} are filled in";
constexpr const char* kFilter = "a topic outside losant/, in which + and # stand for other levels";
constexpr const char* kQos = "0 or 1";

using enum OptionType;
using Found = std::optional<Finding>;

std::string got(std::string_view text) { return ", got \"" + printable(text, 80) + "\""; }

Found wrong(std::string_view what, std::string_view text) {
  return Finding{false, std::string(what) + got(text)};
}

// What no topic may be, whether it is published to or subscribed to.
Found wrong_topic(std::string_view text, const char* form) {
  const bool has_control = std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (text.empty() || text.size() > kMaxTopic || has_control || !is_utf8(text)) {
    return wrong("expected " + std::string(form), text);
  }
  if (text.starts_with('/') || text.ends_with('/') || text.find("//") != std::string_view::npos) {
    return wrong("expected a topic without empty levels", text);
  }
  if (is_losants(text)) {
    return wrong("topics below losant/ are for states and commands; expected one outside of it",
                 text);
  }
  return std::nullopt;
}

Found publish_topic(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (auto found = wrong_topic(text, kPublishTopic)) return found;
  if (text.find_first_of("+#") != std::string::npos) {
    return wrong("expected a topic to publish to, without + and #", text);
  }
  const auto made = Template::parse(text);
  if (!made) return Finding{false, made.error().message};
  if (made->has(Template::Place::ReadValue) || made->has(Template::Place::Time)) {
    return wrong(
        "a topic may name ${device} and ${attribute} alone: with ${value} or ${time} there would "
        "be no end of topics, and '/', '+' or '#' in a text would make another one of it; put "
        "them into the payload",
        text);
  }
  if (text.substr(0, text.find('/')).find("${") != std::string::npos) {
    return wrong("expected a first level without ${…}, so that it cannot become losant/", text);
  }
  if (text.starts_with('$')) {
    return wrong("topics that begin with $ are the broker's own; expected another first level",
                 text);
  }
  return std::nullopt;
}

Found payload(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (text.empty()) return wrong("expected " + std::string(kPayload), text);
  const auto made = Template::parse(text);
  return made ? std::nullopt : std::optional(Finding{false, made.error().message});
}

Found attribute(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (is_attribute_name(text)) return std::nullopt;
  return wrong("expected " + std::string(kAttributeNameForm), text);
}

// 2 is what someone may well want, so it gets an answer of its own.
Found qos(const Value& value) {
  if (std::get<double>(value) != 2) return std::nullopt;
  return Finding{false,
                 "QoS 2 is not spoken: Losant closes the connection at it; expected 1, which may "
                 "deliver twice, or 0, which may lose"};
}

// Wildcards stand alone in their level, '#' in the last one.
bool has_stray_wildcard(std::string_view filter) {
  while (true) {
    const size_t end = std::min(filter.find('/'), filter.size());
    const std::string_view level = filter.substr(0, end);
    if (level.size() > 1 && level.find_first_of("+#") != std::string_view::npos) return true;
    if (end == filter.size()) return false;
    if (level == "#") return true;
    filter.remove_prefix(end + 1);
  }
}

Found filter(const Value& value) {
  const std::string& text = std::get<std::string>(value);
  if (auto found = wrong_topic(text, kFilter)) return found;
  if (has_stray_wildcard(text)) {
    return wrong("expected + and # alone between two /, and # at the end only", text);
  }
  if (text.starts_with('+') || text.starts_with('#')) {
    return wrong("expected a first level without wildcard, or it would stand for losant/ as well",
                 text);
  }
  if (text.starts_with('$') && !text.starts_with("$SYS/")) {
    return wrong("of the topics that begin with $ only those below $SYS/ can be subscribed to",
                 text);
  }
  if (text.find("${") != std::string::npos) {
    return wrong("nothing is filled into this topic; expected it without ${…}", text);
  }
  return std::nullopt;
}

CoreOption qos_option(void (*store)(void*, const Value&), const char* help) {
  return {
      .spec = {.name = "qos", .type = Integer, .fallback = "1", .help = help, .min = 0, .max = 2},
      .store = store,
      .check = qos,
      .form = kQos};
}

}  // namespace

std::vector<CoreOption> publish_options() {
  return {
      {.spec = {.name = "name",
                .required = true,
                .help = "What status and logs call it. What waits for the broker goes by this "
                        "name: of an entry that is gone, or has another one, it is dropped."},
       .store = into<&PublishConfig::name>,
       .check = forms::local_name,
       .form = "a name",
       .example = "site-bus"},
      {.spec = {.name = "topic", .required = true, .help = "Where each reading is published."},
       .store = into<&PublishConfig::topic>,
       .check = publish_topic,
       .form = kPublishTopic,
       .example = "site/${device}/${attribute}"},
      {.spec = {.name = "payload",
                .fallback = "${value}",
                .help = "What is published. ${time} is in milliseconds since 1970."},
       .store = into<&PublishConfig::payload>,
       .check = payload,
       .form = kPayload},
      {.spec = {.name = "format",
                .type = Choice,
                .fallback = "text",
                .help = "\"json\": the payload is JSON, and ${value} is written as JSON, a text in "
                        "quotes.",
                .choices = {"text", "json"}},
       .store = into<&PublishConfig::format>},
      qos_option(into<&PublishConfig::qos>,
                 "1: each reading arrives, perhaps twice. 0: it is done with once it is on the "
                 "line; the first on a topic goes with 1, to see whether the broker takes it."),
      {.spec = {.name = "device",
                .help = "The device whose readings are meant. Unless given: all devices."},
       .store = into<&PublishConfig::device>,
       .form = "the name of a device",
       .example = "boiler"},
      {.spec = {.name = "attributes",
                .help = "The attributes that are meant: one, or a list. Unless given: all but the "
                        "agent's own."},
       .store = into<&PublishConfig::attributes>,
       .check = attribute,
       .form = "names of attributes",
       .example = "temperature",
       .several = true},
  };
}

std::vector<CoreOption> subscribe_options() {
  return {
      {.spec = {.name = "topic",
                .required = true,
                .help = "What is subscribed to. Retained messages are ignored: an old order must "
                        "not be carried out at each connection."},
       .store = into<&SubscribeConfig::topic>,
       .check = filter,
       .form = kFilter,
       .example = "site/boiler/set/+"},
      qos_option(into<&SubscribeConfig::qos>,
                 "With 1 a message may come twice, with 0 not at all."),
      {.spec = {.name = "device", .required = true, .help = "The device that is commanded."},
       .store = into<&SubscribeConfig::device>,
       .form = "the name of a device",
       .example = "boiler"},
      {.spec = {.name = "command",
                .required = true,
                .help = "The command, as the plugin of the device declares it."},
       .store = into<&SubscribeConfig::command>,
       .form = "the name of a command",
       .example = "set-temperature"},
      {.spec = {.name = "arguments",
                .help = "Where in the message each argument is: a JSON pointer such as "
                        "\"/state\", or \"\" for all of its text. Unless given: the text is the "
                        "only argument, or the only required one."},
       .store = nowhere,
       .form = "a table such as { value = \"/state\" }",
       .example = "{ value = \"/temperature\" }",
       .table = true},
      {.spec = {.name = "map",
                .help = "What a text stands for. Another text than those here is no command."},
       .store = nowhere,
       .form = "a table such as { \"ON\" = true, \"OFF\" = false }",
       .example = "{ \"low\" = 40, \"high\" = 60 }",
       .table = true},
  };
}

}  // namespace fieldpost
