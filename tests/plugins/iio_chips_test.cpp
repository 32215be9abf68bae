// SPDX-License-Identifier: Apache-2.0
//
// Finding a chip in a made-up sysfs by what stays the same, whatever its number is now.
#include <fieldpost/plugin.hpp>
#include <gtest/gtest.h>

#include "chips.hpp"
#include "fakes/fake_host.hpp"
#include "iio_sysfs.hpp"

namespace {

using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
using iio::Interface;
using iio::Wanted;
using iio::fakes::Sysfs;
namespace fs = std::filesystem;

class IioChipsTest : public testing::Test {
 protected:
  // The number that the chip has now, such as "hwmon1", or why there is none.
  std::string find(const Wanted& wanted) const {
    try {
      return iio::find_chip(sysfs_.root() + "/sys", wanted).filename().string();
    } catch (const fieldpost::sdk::IoError& e) {
      return e.what();
    }
  }
  static Wanted hwmon(const std::string& name, const std::string& parent = "") {
    return {Interface::Hwmon, name, "", parent};
  }
  static Wanted iio_chip(const std::string& name, const std::string& parent = "") {
    return {Interface::Iio, name, "", parent};
  }
  void add_thermometers() const {
    sysfs_.hwmon(0, "virtual/thermal/thermal_zone0", {{"name", "cpu_thermal"}});
    sysfs_.hwmon(1, "w1_bus_master1/28-00000a1b2c3d", {{"name", "w1_slave_temp"}});
    sysfs_.hwmon(2, "w1_bus_master1/28-00000a1b2c3e", {{"name", "w1_slave_temp"}});
    sysfs_.hwmon(3, "", {{"name", "rpi_volt"}});
  }
  Sysfs sysfs_;
};

TEST_F(IioChipsTest, ByNameAndByTheBusIdOfItsDevice) {
  add_thermometers();
  EXPECT_EQ(find(hwmon("cpu_thermal")), "hwmon0");
  EXPECT_EQ(find(hwmon("rpi_volt")), "hwmon3");
  EXPECT_EQ(find(hwmon("w1_slave_temp", "28-00000a1b2c3e")), "hwmon2");
  EXPECT_EQ(find(hwmon("", "28-00000a1b2c3d")), "hwmon1");
  EXPECT_EQ(find(hwmon("w1_slave_temp", "w1_bus_master1/28-00000a1b2c3d")), "hwmon1");
}

TEST_F(IioChipsTest, SeveralOfOneNameAreRefusedWithWhatTellsThemApart) {
  add_thermometers();
  EXPECT_EQ(find(hwmon("w1_slave_temp")),
            "there are 2 hwmon chips w1_slave_temp; say which with parent: \"28-00000a1b2c3d\", "
            "\"28-00000a1b2c3e\"");
}

TEST_F(IioChipsTest, NoneIsSaidWithWhatThereIs) {
  add_thermometers();
  EXPECT_EQ(find(hwmon("lm75", "1-0048")),
            "there is no hwmon chip lm75 at 1-0048, but cpu_thermal at thermal_zone0, "
            "w1_slave_temp at 28-00000a1b2c3d, w1_slave_temp at 28-00000a1b2c3e, rpi_volt");
  EXPECT_EQ(find(hwmon("", "0a1b2c3d")).substr(0, 34), "there is no hwmon chip at 0a1b2c3d");
  EXPECT_EQ(find(iio_chip("bmp280")),
            "there is no iio chip bmp280: the kernel has none at all; is its driver loaded?");
}

TEST_F(IioChipsTest, ASysfsThatIsNotThereIsSaid) {
  fs::remove_all(fs::path(sysfs_.root()) / "sys");
  EXPECT_EQ(find(iio_chip("bmp280")),
            "there is no iio chip bmp280, and no '" + sysfs_.root() + "/sys' to look in");
}

TEST_F(IioChipsTest, AFolderThatCannotBeListedIsNotAnEmptyOne) {
  const fs::path all = fs::path(sysfs_.root()) / "sys/class/hwmon";
  fs::remove(all);
  iio::fakes::write(all, "");
  EXPECT_EQ(find(hwmon("lm75")), "cannot list '" + all.string() + "': Not a directory");
}

TEST_F(IioChipsTest, IioIsInTheFolderOfItsDevice) {
  sysfs_.iio(0, "platform/soc/fe804000.i2c/i2c-1/1-0076", {{"name", "bme280"}});
  sysfs_.iio(1, "platform/soc/fe804000.i2c/i2c-1/1-0077", {{"name", "bme280"}});
  sysfs_.iio(2, "", {{"name", "dummy"}});
  fs::create_directories(fs::path(sysfs_.root()) / "sys/bus/iio/devices/trigger0");
  EXPECT_EQ(find(iio_chip("bme280", "1-0077")), "iio:device1");
  EXPECT_EQ(find(iio_chip("bme280", "i2c-1/1-0076")), "iio:device0");
  EXPECT_EQ(find(iio_chip("dummy")), "iio:device2");
  EXPECT_EQ(find(iio_chip("dummy", "devices")).substr(0, 11), "there is no");
}

TEST_F(IioChipsTest, TheDeviceTreeNamesAChipWhateverItsBusIsCalled) {
  sysfs_.node("platform/a.i2c/i2c-1/1-0076", "soc/i2c@7e804000/bme280@76");
  sysfs_.node("platform/b.i2c/i2c-3/3-0076", "soc/i2c@7e205000/bme280@76");
  sysfs_.iio(0, "platform/a.i2c/i2c-1/1-0076", {{"name", "bme280"}});
  sysfs_.iio(1, "platform/b.i2c/i2c-3/3-0076", {{"name", "bme280"}});
  EXPECT_EQ(find(iio_chip("bme280", "i2c@7e205000/bme280@76")), "iio:device1");
  EXPECT_EQ(find(iio_chip("", "/soc/i2c@7e804000/bme280@76")), "iio:device0");
}

TEST_F(IioChipsTest, LabelsTellApartWhatIsOnOneDevice) {
  sysfs_.iio(0, "platform/adc", {{"name", "adc"}, {"label", "tank"}});
  sysfs_.iio(1, "platform/adc", {{"name", "adc"}, {"label", "pump"}});
  EXPECT_EQ(find(iio_chip("adc")),
            "there are 2 iio chips adc; say which with label: \"pump\", \"tank\"");
  EXPECT_EQ(find({Interface::Iio, "adc", "pump", ""}), "iio:device1");
  sysfs_.iio(2, "platform/adc", {{"name", "adc"}, {"label", "pump"}});
  EXPECT_EQ(find({Interface::Iio, "adc", "pump", ""}),
            "there are 2 iio chips adc \"pump\", and nothing tells them apart");
}

TEST_F(IioChipsTest, AChipThatComesBackUnderAnotherNumberIsFoundAgain) {
  const std::string place = "w1_bus_master1/28-00000a1b2c3d";
  const fs::path before =
      sysfs_.hwmon(1, place, {{"name", "w1_slave_temp"}, {"temp1_input", "20000"}});
  FakeHost host({{"root", sysfs_.root()}},
                {{"chip",
                  {Row({{"chip", "w1_slave_temp"}, {"parent", "28-00000a1b2c3d"}},
                       {{"channel", {Row{{"attribute", "t"}, {"channel", "temp1"}}}}})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("t"), 20);
  sysfs_.remove(before);
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_NE(host.error.find("there is no hwmon chip w1_slave_temp at 28-00000a1b2c3d"),
            std::string::npos)
      << host.error;
  // Another chip has its number now.
  sysfs_.hwmon(1, "w1_bus_master1/28-00000a1b2c3e",
               {{"name", "w1_slave_temp"}, {"temp1_input", "99000"}});
  EXPECT_EQ(host.poll(), FP_E_IO);
  sysfs_.hwmon(4, place, {{"name", "w1_slave_temp"}, {"temp1_input", "21000"}});
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("t"), 21);
}

}  // namespace
