// SPDX-License-Identifier: Apache-2.0
#include "fakes/certificates.hpp"

#include <array>
#include <atomic>
#include <ctime>
#include <fstream>

#include "fakes/process.hpp"

namespace fieldpost::test {
namespace {

const std::string kOpenssl = "/usr/bin/openssl";

// As `openssl ca` takes it.
std::string stamp(int days) {
  const time_t time = std::time(nullptr) + time_t{86'400} * days;
  tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y%m%d%H%M%SZ", &parts)};
}

}  // namespace

Authority::Authority() : ca_{folder_ / "ca.pem", folder_ / "ca.key"} {
  run({kOpenssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
       "-subj", "/CN=Test authority", "-days", "3650", "-keyout", ca_.key, "-out", ca_.file},
      folder_ / "log");
}

Certificate Authority::self_signed(const std::string& subject) const {
  const Certificate made{folder_ / "self.pem", folder_ / "self.key"};
  run({kOpenssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
       "-subj", "/CN=broker", "-addext", "subjectAltName=" + subject, "-days", "30", "-keyout",
       made.key, "-out", made.file},
      folder_ / "log");
  return made;
}

Certificate Authority::issue(const std::string& subject, int from_days, int to_days) const {
  static std::atomic<int> number = 0;
  const std::string base = folder_ / std::to_string(++number);
  const Certificate made{base + ".pem", base + ".key"};
  const std::string request = base + ".csr";
  run({kOpenssl, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
       "/CN=broker", "-keyout", made.key, "-out", request},
      folder_ / "log");
  std::ofstream(base + ".index").close();
  std::ofstream(base + ".conf") << "[ca]\ndefault_ca=c\n[c]\ndatabase=" << base
                                << ".index\nnew_certs_dir=" << folder_.path()
                                << "\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n"
                                   "x509_extensions=e\n[p]\ncommonName=supplied\n"
                                   "[e]\nsubjectAltName="
                                << subject << "\n";
  run({kOpenssl, "ca", "-batch", "-notext", "-config", base + ".conf", "-cert", ca_.file,
       "-keyfile", ca_.key, "-startdate", stamp(from_days), "-enddate", stamp(to_days), "-in",
       request, "-out", made.file},
      folder_ / "log");
  return made;
}

}  // namespace fieldpost::test
