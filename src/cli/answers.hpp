// SPDX-License-Identifier: Apache-2.0
//
// What `fieldpost setup` has to know, and where it finds that: an option, a variable of the
// environment, or the person at the terminal, in this order. A secret is never an option: the
// command line of a process can be read by everybody on the machine.
#pragma once

#include <boost/program_options.hpp>

#include <string>

#include "base/result.hpp"

namespace fieldpost::cli {

struct Answers {
  std::string url;  // of the broker; empty: what the configuration says otherwise
  std::string device_id;
  std::string access_key, access_secret;  // empty: those that are there stay, if any are
};

// Of the questions' table: an option for each.
void add_answer_options(boost::program_options::options_description& options);

// All of it, each in its form; Losant's forms are insisted on where the broker is Losant's.
// `has_credentials`: key and secret are there already, and need not be given. Errors: Invalid, what
// is wrong with which of them (never with a secret's text), or all that is missing and how to give
// it; Unavailable (the person goes away).
Result<Answers> gather_answers(const boost::program_options::variables_map& given,
                               bool has_credentials);

}  // namespace fieldpost::cli
