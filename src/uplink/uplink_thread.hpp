// SPDX-License-Identifier: Apache-2.0
//
// The inside of Uplink: the thread, and all that lives on it. uplink.cpp has how connections come
// and go, uplink_send.cpp what is sent on them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>  // before Asio: 1.74 uses std::exchange without it
#include <variant>

#include "base/clock.hpp"
#include "base/mailbox.hpp"
#include "uplink/lanes.hpp"
#include "uplink/limiter.hpp"
#include "uplink/line.hpp"
#include "uplink/publications.hpp"
#include "uplink/quarantine.hpp"
#include "uplink/redial.hpp"
#include "uplink/sent_file.hpp"
#include "uplink/status_teller.hpp"
#include "uplink/uplink.hpp"

namespace fieldpost {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

struct Uplink::Thread {
  struct Wake {};     // something atomic has changed
  struct Backlog {};  // as of on_backlog()
  struct Stored {
    int64_t newest_row;
  };
  struct Stop {
    milliseconds limit;
  };
  struct Reconnect {};
  using Item = std::variant<Wake, Backlog, Stored, Fetched, Publication, Reconnect, Options, Stop>;

  Thread(Options o, Sinks s);

  // From any thread.
  bool post(Item item);  // false, and logged: the mailbox is full
  // On the thread.
  void run();

  Mailbox<Item> mailbox{4096};
  std::atomic<int64_t> newest = item_id::kBeforeAll;
  // What comes before this one need not wake the thread: its batch leaves by the timer that runs.
  std::atomic<int64_t> wake_at_item = item_id::kBeforeAll;
  std::atomic<uint64_t> pings = 0;
  std::atomic<uint64_t> answers = 0;
  std::atomic<BootTime> heard{BootTime{}};
  Publications publications;  // any thread may reserve a place
  std::thread thread;

 private:
  void watch_mailbox();
  void take(Wake);
  void take(Backlog);
  void take(Stored stored);
  void take(Fetched fetched);
  void take(Publication publication);
  void take(Reconnect);
  void take(Options o);
  void take(Stop stop);
  void begin_batch(nanoseconds age);

  void connect();
  void tell_of_modes(std::vector<std::string> troubles);
  void on_up();
  void on_down(const std::string& reason, Line::End end);
  Drop drop_of(Line::End end, BootTime now);
  void wait_and_connect(const std::string& reason, Redial::Verdict verdict);
  void on_acknowledged(const std::vector<int>& mids);
  void on_message(std::string_view topic, std::string_view payload);
  void watch_tick();
  void on_tick();

  void pump();
  BootTime send_publications();
  bool send_states();
  void watch_written();
  void settle(int mid, std::vector<int64_t>& ret_rows, BootTime now);
  void note_custom();
  void note_refused();
  void note_retained();
  void wake_at(BootTime time);
  void tell_of_pace(bool held_back);
  void acknowledge_rows(std::vector<int64_t> rows);
  void give_up(const std::vector<Publication>& given_up);
  void close_when_idle();
  void try_all_topics();
  void tell_of_quarantine();

  const BrokerAddress& broker() const { return options.brokers[next_broker]; }

  Options options;
  Sinks sinks;
  size_t next_broker = 0;  // of options.brokers, or the one that is dialled
  asio::io_context io{1};
  asio::posix::stream_descriptor bell{io};
  asio::steady_timer retry{io}, tick{io}, stop_timer{io}, batch{io}, pace{io}, settle_timer{io};
  StatusTeller status{io, sinks.status};
  std::unique_ptr<Line> line;
  bool up = false;
  bool stopping = false;
  bool closing = false;
  bool reconnect_asked = false;  // when this line is down
  bool batch_waits = false;
  bool answer_waits = false;  // until nothing is on its way: a suspect
  bool settle_waits = false;
  Steady::time_point up_since;
  Steady::time_point last_progress;     // towards an acknowledgement
  std::vector<std::string> modes_told;  // troubles with the modes of secret files
  Redial redial;
  SentFile sent_file;
  Limiter limiter;
  Quarantine quarantine;
  Lanes lanes;
  std::vector<int> written;    // message ids of QoS 0 that may not have reached the broker yet
  int64_t dropped_logged = 0;  // of Lanes::custom()
  std::unordered_map<int, size_t> publication_records;  // of the limiter, by message id
};

}  // namespace fieldpost
