// SPDX-License-Identifier: Apache-2.0
//
// `status` and `watch`: what the agent says of itself, for people.
#include <algorithm>
#include <cmath>
#include <iostream>

#include "base/text.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "cli/json_words.hpp"
#include "cli/outbox_text.hpp"
#include "model/custom_device.hpp"

namespace fieldpost::cli {
namespace {

// Where the rate limits are felt.
void print_pace(const Json& u) {
  if (u.value("live_devices", 0) > 1 && u.value("batch_age_s", 0.0) > 1) {
    std::cout << "          new readings wait up to " << ago(u["batch_age_s"])
              << " for others: " << u["live_devices"] << " devices share the rate limits\n";
  }
  if (u.value("held_back", false)) std::cout << "          the rate limits hold messages back\n";
  if (u.value("slowed", false)) {
    std::cout << "          half of the rate limits for an hour: the broker had thrown us out\n";
  }
}

// Topics that the broker does not let us publish to.
void print_set_aside(const Json& u) {
  for (const Json& line : u.value("set_aside", Json::array())) {
    const bool is_state = text_of(line, "topic").ends_with("/state");
    std::cout << "          the broker closes the connection when we publish to "
              << text_of(line, "topic")
              << (is_state ? ": its readings wait" : ": nothing is sent there")
              << ", tried again in " << ago(line["retry_s"]) << "\n";
  }
  for (const Json& topic : u.value("refused_topics", Json::array())) {
    std::cout << "          the broker refuses the subscription to " << topic.get<std::string>()
              << ": commands will not arrive\n";
  }
}

void print_last_run(const Json& last) {
  constexpr std::pair<std::string_view, const char*> kWords[] = {
      {"stopped", "stopped as it should be"},
      {"crashed", "crashed or killed"},
      {"cut-off", "the power was cut or the machine was reset"},
      {"none", "none is known"},
      {"unknown", "not known"}};
  const std::string ended = text_of(last, "ended");
  const auto* const it =
      std::ranges::find(kWords, ended, &std::pair<std::string_view, const char*>::first);
  std::cout << "last run  " << (it == std::end(kWords) ? ended.c_str() : it->second);
  if (const std::string at = text_of(last, "last_word"); !at.empty() && ended != "stopped")
    std::cout << "; its last word is of " << at;
  if (const std::string seen = text_of(last, "seen_as"); !seen.empty()) std::cout << "; " << seen;
  std::cout << "\n";
  if (const std::string why = text_of(last, "boot_reason"); !why.empty())
    std::cout << "          this boot: " << why << "\n";
  if (const std::string t = text_of(last, "trouble"); !t.empty())
    std::cout << "          the black box cannot be written: " << t << "\n";
}

// What `fieldpost apply` has put in place, and what became of it.
void print_apply(const Json& a) {
  const std::string state = text_of(a, "state");
  if (state == "pending" && a.value("running", false) && a.contains("left_s")) {
    std::cout << "config    on trial for another " << ago(a["left_s"])
              << ": it stays if the broker acknowledges a publish by then\n";
  } else if (state == "pending") {
    const std::string why = text_of(a, "reason");
    std::cout << "config    an applied configuration does not run"
              << (why.empty() ? " yet" : ": " + why) << "\n";
  } else if (state == "confirmed") {
    std::cout << "config    the applied configuration was confirmed at " << text_of(a, "ended")
              << "\n";
  } else if (state == "rolled back") {
    std::cout << "config    the applied configuration was rolled back at " << text_of(a, "ended")
              << ": " << text_of(a, "reason") << "\n";
  }
}

void print_uplink(const Json& u) {
  std::cout << "uplink    " << text_of(u, "state") << " " << text_of(u, "url") << " for "
            << ago(u["since_s"]);
  if (const std::string step = text_of(u, "step"); !step.empty()) std::cout << ": " << step;
  if (const std::string why = text_of(u, "reason"); !why.empty()) std::cout << ": " << why;
  if (u.contains("retry_s")) std::cout << "; next attempt in " << ago(u["retry_s"]);
  std::cout << "\n          " << u["readings"] << " readings in " << u["published"]
            << " messages delivered, " << u["in_flight"] << " in flight";
  if (u["refused"] != 0) std::cout << ", " << u["refused"] << " refused as too large";
  std::cout << "\n";
  print_pace(u);
  print_set_aside(u);
}

// For want of space, or for its age; the attributes that lost most.
void print_given_up(const Json& o) {
  constexpr size_t kShown = 5;
  if (o.value("thinned", int64_t{0}) + o.value("dropped", int64_t{0}) == 0) return;
  std::cout << "          " << o["thinned"] << " readings thinned, " << o["dropped"]
            << " dropped since the start\n";
  const Json& lines = o["given_up"];
  for (size_t i = 0; i < std::min(lines.size(), kShown); ++i) {
    const Json& line = lines[i];
    const std::string attribute = text_of(line, "attribute");
    std::cout << "            " << shown_device(text_of(line, "device_id")) << " "
              << (attribute.empty() ? "(could not be read)" : attribute) << ": " << line["thinned"]
              << " thinned, " << line["dropped"] << " dropped\n";
  }
}

void print_outbox(const Json& o) {
  std::cout << "outbox    " << o["waiting"] << " readings waiting";
  if (o.contains("oldest_s")) std::cout << ", the oldest " << ago(o["oldest_s"]) << " old";
  std::cout << "; " << format_size(o["file_bytes"].get<int64_t>()) << " on disk, " << o["lost"]
            << " lost\n";
  print_given_up(o);
  for (const char* what : {"trouble", "warning"}) {
    if (const std::string t = text_of(o, what); !t.empty()) std::cout << "          " << t << "\n";
  }
  if (o.contains("disk")) std::cout << "disk      " << disk_line(o["disk"]) << "\n";
}

void print_waiting_for_time(const Json& c) {
  std::cout << "          " << c["waiting"] << " readings wait for the right time, ";
  if (c.contains("held_s")) {
    std::cout << "for at most " << ago(c["held_s"])
              << " more; then they go with an estimated one\n";
  } else {
    std::cout << "at least until the broker is in reach\n";
  }
}

void print_not_sent(const Json& c) {
  const auto say = [](const Json& count, const char* what) {
    if (count != 0) std::cout << "          " << count << " readings " << what << "\n";
  };
  say(c["too_old"], "not sent: older than 30 days, which the broker drops");
  say(c["too_new"], "not sent: more than a day ahead of now, which the broker drops");
  say(c["repeated"],
      "have times that others had before the clock was set back, and may replace those");
}

void print_clock(const Json& c) {
  const bool synchronised = c["synchronised"] == true;
  std::cout << "clock     " << (synchronised ? "" : "not ") << "synchronised";
  if (const std::string by = text_of(c, "source"); !by.empty()) std::cout << " by " << by;
  std::cout << " for " << ago(c["since_s"]);
  if (const std::string why = text_of(c, "reason"); !why.empty()) std::cout << ": " << why;
  std::cout << "\n";
  const std::string stamps = text_of(c, "stamps");
  if (stamps == "none" && c["waiting"] != 0) print_waiting_for_time(c);
  if (stamps == "estimated") std::cout << "          times are estimates, and sent as such\n";
  if (c.contains("ignored_step_s")) {
    const double step = c["ignored_step_s"].get<double>();
    std::cout << "          the clock was set " << (step < 0 ? "back" : "ahead") << " by "
              << ago(std::abs(step)) << "; not believed until a time service confirms it\n";
  }
  print_not_sent(c);
  if (const std::string t = text_of(c, "trouble"); !t.empty())
    std::cout << "          " << t << "\n";
}

void print_commands(const Json& c) {
  if (const std::string t = text_of(c, "trouble"); !t.empty()) {
    std::cout << "commands  a crash would forget those that are running: " << t << "\n";
  }
  if (c["received"] == 0) return;
  std::cout << "commands  " << c["received"] << " received, " << c["done"] << " done, "
            << c["rejected"] << " rejected, " << c["failed"] << " failed";
  for (const char* rare : {"expired", "duplicate", "unknown", "open"}) {
    if (c[rare] != 0) std::cout << ", " << c[rare] << " " << rare;
  }
  std::cout << "\n";
}

// What goes to topics of [[publish]] and comes from those of [[subscribe]].
void print_custom(const Json& c) {
  std::string line;
  const auto say = [&](const char* key, const char* what) {
    if (c[key] == 0) return;
    line += (line.empty() ? "custom    " : ", ") + c[key].dump() + what;
  };
  say("published", " published");
  say("received", " received");
  say("misfits", " of them no command");
  say("retained", " retained ones ignored");
  say("dropped", " readings dropped, whose [[publish]] is gone");
  if (!line.empty()) std::cout << line << "\n";
}

// Of this month; --json has the others.
void print_traffic(const Json& months) {
  if (months.empty()) return;
  const auto line = [](const Json& count) {
    std::cout << count["payloads"] << (count["payloads"] == 1 ? " payload, " : " payloads, ")
              << format_size(count["bytes"].get<int64_t>()) << "\n";
  };
  const Json& month = months[0];
  std::cout << "traffic   " << text_of(month, "month") << ": "
            << (month["at_least"] == true ? "at least " : "");
  line(month);
  for (const Json& device : month["devices"]) {
    std::cout << "            " << device.value("name", text_of(device, "device_id")) << ": ";
    line(device);
  }
}

// Of the last minute; --json tells how late polls are also where none is skipped.
void print_skipped(const Json& p) {
  if (!p.contains("polls") || p["polls"]["skipped"] == 0) return;
  const Json& polls = p["polls"];
  const int64_t skipped = polls["skipped"].get<int64_t>();
  std::cout << "  too slow for its interval: skipped " << skipped << " of "
            << skipped + polls["count"].get<int64_t>()
            << " polls in the last minute; the longest took "
            << std::lround(polls["longest_s"].get<double>() * 1000) << " ms\n";
}

void print_plugin(const Json& p) {
  std::cout << text_of(p, "name") << " (" << text_of(p, "type") << ")  " << text_of(p, "state");
  if (const std::string why = text_of(p, "reason"); !why.empty()) std::cout << ": " << why;
  if (p["restarts"] != 0) std::cout << "; restarted " << p["restarts"] << " times";
  std::cout << "\n";
  if (p.contains("sandbox")) {
    std::cout << "  sandbox: " << text_of(p["sandbox"], "text")
              << (p.contains("socket") ? ", a unit of its own" : "") << "\n";
  }
  print_skipped(p);
  for (const Json& u : p["units"]) {
    std::cout << "  " << text_of(u, "name") << ": " << text_of(u, "state");
    if (const std::string why = text_of(u, "reason"); !why.empty()) std::cout << " (" << why << ")";
    if (u.contains("good_s")) {
      std::cout << ", last good reading " << ago(u["good_s"]) << " ago";
    } else {
      std::cout << ", no good reading yet";
    }
    std::cout << "\n";
  }
  for (const Json& a : p["attributes"]) {
    if (const std::string q = text_of(a, "quality"); !q.empty() && q != "good") {
      std::cout << "  " << text_of(a, "name") << ": " << q << " (" << text_of(a, "detail") << ")\n";
    } else if (const std::string remark = text_of(a, "remark"); !remark.empty()) {
      std::cout << "  " << text_of(a, "name") << ": " << remark << "\n";
    }
  }
}

std::string value_of(const Json& line) {
  if (!line.contains("value"))
    return text_of(line, "quality") + " (" + text_of(line, "detail") + ")";
  return value_words(line["value"]);
}

}  // namespace

int status(const Call& call) {
  auto client = ControlClient::connect(call.paths, false);
  if (!client) return fail(client.error().message);
  const auto answer = client->ask(Json{{"do", "status"}});
  if (!answer) return fail(answer.error().message);
  const Json& s = (*answer)["status"];
  if (call.json()) {
    std::cout << s.dump(2) << "\n";
    return 0;
  }
  std::cout << "fieldpost " << text_of(s, "version") << ", gateway "
            << text_of(s["gateway"], "device_id") << ", running for " << ago(s["uptime_s"]) << "\n";
  if (const std::string c = text_of(s["config"], "trouble"); !c.empty()) {
    std::cout << "config    " << c << "\n";
  }
  if (s.contains("last_run")) print_last_run(s["last_run"]);
  print_apply(s["config"]["apply"]);
  print_uplink(s["uplink"]);
  print_outbox(s["outbox"]);
  print_clock(s["clock"]);
  print_commands(s["commands"]);
  print_custom(s["custom"]);
  print_traffic(s["traffic"]);
  for (const Json& p : s["plugins"]) print_plugin(p);
  return 0;
}

int watch(const Call& call) {
  auto client = ControlClient::connect(call.paths, false);
  if (!client) return fail(client.error().message);
  if (const auto answer = client->ask(Json{{"do", "watch"}}); !answer) {
    return fail(answer.error().message);
  }
  for (;;) {
    const auto line = client->next_line(std::chrono::milliseconds(-1));
    if (!line) return fail(line.error().message);
    if (call.json()) {
      std::cout << *line << "\n" << std::flush;
      continue;
    }
    const auto json = parse_json(*line);
    if (!json) continue;
    if (json->contains("dropped")) {
      std::cout << "(" << (*json)["dropped"] << " lines left out: the terminal is too slow)\n";
      continue;
    }
    std::cout << text_of(*json, "time") << "  " << text_of(*json, "device") << "  "
              << text_of(*json, "attribute") << " = " << value_of(*json) << "\n"
              << std::flush;
  }
}

}  // namespace fieldpost::cli
