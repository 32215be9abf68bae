// SPDX-License-Identifier: Apache-2.0
#include "model/report_rule.hpp"

namespace fieldpost {

ReportRule refined(ReportRule above, const ReportKeys& keys) {
  const auto take = [&](ReportKeys::Key key, auto member) {
    if ((keys.given & ~above.plugins_own & key) != 0) above.*member = keys.rule.*member;
  };
  take(ReportKeys::When, &ReportRule::when);
  take(ReportKeys::Deadband, &ReportRule::deadband);
  take(ReportKeys::DeadbandPercent, &ReportRule::deadband_percent);
  take(ReportKeys::Period, &ReportRule::period);
  take(ReportKeys::Min, &ReportRule::min);
  take(ReportKeys::Max, &ReportRule::max);
  take(ReportKeys::ExpectChange, &ReportRule::expect_change);
  take(ReportKeys::Scale, &ReportRule::scale);
  take(ReportKeys::Offset, &ReportRule::offset);
  take(ReportKeys::Decimals, &ReportRule::decimals);
  take(ReportKeys::Unit, &ReportRule::unit);
  take(ReportKeys::StaleAfter, &ReportRule::stale_after);
  return above;
}

}  // namespace fieldpost
