// SPDX-License-Identifier: Apache-2.0
#include "cli/answers.hpp"

#include <cstdlib>
#include <iostream>
#include <optional>

#include "base/text.hpp"
#include "cli/prompt.hpp"
#include "config/forms.hpp"
#include "config/secret.hpp"

namespace fieldpost::cli {
namespace {

namespace po = boost::program_options;

std::string text_of(const std::optional<Finding>& finding, bool insist) {
  return finding && (insist || !finding->warning) ? finding->text : "";
}

std::string url_trouble(const std::string& text, bool) {
  return text_of(forms::broker_url(Value(text)), true);
}

std::string id_trouble(const std::string& text, bool losant) {
  return text_of(forms::device_id(Value(text)), losant);
}

std::string key_trouble(const std::string& text, bool losant) {
  if (const auto fits = check_secret(text); !fits) return fits.error().message;
  return losant && !is_losant_key(text) ? "expected " + std::string(kLosantKey) : "";
}

std::string secret_trouble(const std::string& text, bool losant) {
  if (const auto fits = check_secret(text); !fits) return fits.error().message;
  return losant && !is_losant_secret(text) ? "expected " + std::string(kLosantSecret) : "";
}

struct Question {
  const char* option;  // of a secret: the file that has it
  const char* variable;
  const char* words;  // nullptr: it is not asked for
  const char* help;
  bool secret;
  std::string Answers::*answer;
  // What is wrong, as it follows "name: "; empty: nothing. `losant`: the broker is Losant's.
  std::string (*trouble)(const std::string& text, bool losant);
};

constexpr Question kQuestions[] = {
    {"url", "FIELDPOST_URL", nullptr, "the broker, if it is not Losant's; also", false,
     &Answers::url, url_trouble},
    {"device-id", "FIELDPOST_DEVICE_ID", "Device id of this gateway",
     "the gateway's id in Losant; also", false, &Answers::device_id, id_trouble},
    {"access-key-file", "FIELDPOST_ACCESS_KEY", "Access key",
     "a file that holds the access key; or the key itself", true, &Answers::access_key,
     key_trouble},
    {"access-secret-file", "FIELDPOST_ACCESS_SECRET", "Access secret (not shown)",
     "a file that holds the access secret; or the secret itself", true, &Answers::access_secret,
     secret_trouble},
};

bool is_losant(const std::string& url) {
  if (url.empty()) return true;  // the default
  constexpr std::string_view kDomain = "losant.com";
  const auto parsed = forms::parse_broker_url(url);
  return parsed && (parsed->host == kDomain || parsed->host.ends_with("." + std::string(kDomain)));
}

struct Found {
  std::string text;
  std::string from;  // for words: "--device-id"
};

// Without asking anybody. Errors: Invalid, a file that cannot be used.
Result<std::optional<Found>> find(const Question& q, const po::variables_map& given) {
  if (given.count(q.option) > 0) {
    const std::string name = "--" + std::string(q.option);
    const auto& value = given[q.option].as<std::string>();
    if (!q.secret) return std::optional(Found{value, name});
    auto secret = read_secret(value);
    if (secret) return std::optional(Found{*std::move(secret), name});
    return Error{Errc::Invalid, name + ": '" + printable(value) + "' " + secret.error().message};
  }
  const char* value = ::secure_getenv(q.variable);
  if (value == nullptr || *value == '\0') return std::optional<Found>();
  return std::optional(Found{value, q.variable});
}

// Until the answer has the right form.
Result<std::string> ask_for(const Question& q, bool losant, bool has_credentials) {
  std::string question = q.words;
  if (q.secret && has_credentials) question += " (Enter: as it is)";
  if (q.secret && !has_credentials && !losant) question += " (Enter: none)";
  const bool may_be_empty = q.secret && (has_credentials || !losant);
  for (;;) {
    std::string answer = FP_TRY(ask(question + ": ", q.secret ? Echo::Off : Echo::On));
    if (answer.empty() && may_be_empty) return answer;
    const std::string trouble = q.trouble(answer, losant);
    if (trouble.empty()) return answer;
    std::cerr << "  " << trouble << "\n";
  }
}

std::string how_to_give(const Question& q) {
  return "--" + std::string(q.option) + " or " + q.variable;
}

}  // namespace

void add_answer_options(po::options_description& options) {
  for (const Question& q : kQuestions) {
    const std::string help = std::string(q.help) + " in the variable " + q.variable;
    options.add_options()(
        q.option, po::value<std::string>()->value_name(q.secret ? "FILE" : "TEXT"), help.c_str());
  }
}

Result<Answers> gather_answers(const po::variables_map& given, bool has_credentials) {
  Answers answers;
  std::string missing;
  for (const Question& q : kQuestions) {
    const bool losant = is_losant(answers.url);
    if (auto found = FP_TRY(find(q, given))) {
      const std::string trouble = q.trouble(found->text, losant);
      if (!trouble.empty()) return Error{Errc::Invalid, found->from + ": " + trouble};
      answers.*q.answer = std::move(found->text);
    } else if (q.words != nullptr && is_somebody_there()) {
      answers.*q.answer = FP_TRY(ask_for(q, losant, has_credentials));
    } else if (q.words != nullptr && (!q.secret || (losant && !has_credentials))) {
      missing += (missing.empty() ? "" : ", ") + how_to_give(q);
    }
  }
  if (!missing.empty()) {
    return Error{Errc::Invalid, "nobody can be asked here (stdin is no terminal); give " + missing};
  }
  if (!has_credentials && answers.access_key.empty() && !answers.access_secret.empty()) {
    return Error{Errc::Invalid, "an access secret is of no use without its access key"};
  }
  return answers;
}

}  // namespace fieldpost::cli
