// SPDX-License-Identifier: Apache-2.0
//
// What needs no hardware: files as the kernel and udev lay them out. GPIO and I2C are asked in the
// rig (tests/rig/scenarios/gpio, i2c).
#include "cli/scan.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost::cli {
namespace {

namespace fs = std::filesystem;

class Machine {
 public:
  std::string root() const { return dir_.path(); }
  void write(const std::string& file, const std::string& text) const {
    fs::create_directories(fs::path(root() + file).parent_path());
    std::ofstream(root() + file) << text;
  }
  void link(const std::string& from, const std::string& to) const {
    fs::create_directories(fs::path(root() + from).parent_path());
    fs::create_directories(root() + to);
    fs::create_symlink(root() + to, root() + from);
  }

 private:
  test::TempDir dir_;
};

// A USB adapter, the board's own port, and one of the ports that 8250 keeps for nothing.
void add_ports(const Machine& m) {
  const std::string usb = "/sys/devices/usb1/1-1";
  m.write(usb + "/product", "FT232R USB UART\n");
  m.write(usb + "/manufacturer", "FTDI\n");
  m.link("/sys/class/tty/ttyUSB0/device", usb + "/1-1:1.0/ttyUSB0");
  m.link(usb + "/1-1:1.0/ttyUSB0/driver", "/sys/bus/usb-serial/drivers/ftdi_sio");
  m.link("/sys/class/tty/ttyAMA0/device", "/sys/devices/platform/fe201000.serial");
  m.link("/sys/devices/platform/fe201000.serial/driver", "/sys/bus/amba/drivers/uart-pl011");
  m.link("/sys/class/tty/ttyS0/device", "/sys/devices/platform/serial8250");
  m.write("/sys/class/tty/ttyS0/type", "0\n");
  m.write("/sys/class/tty/tty1/dev", "4:1\n");
  for (const char* port : {"ttyUSB0", "ttyAMA0", "ttyS0", "tty1"}) {
    m.write("/dev/" + std::string(port), "");
  }
  fs::create_directories(m.root() + "/dev/serial/by-id");
  fs::create_symlink("../../ttyUSB0", m.root() + "/dev/serial/by-id/usb-FTDI_A1-if00-port0");
}

TEST(Scan, FindsSerialPortsByTheNameThatStays) {
  const Machine m;
  add_ports(m);
  const UniqueFd held(::open((m.root() + "/dev/ttyAMA0").c_str(), O_RDWR | O_CLOEXEC));
  const Scan scan = scan_serial(m.root());
  ASSERT_EQ(scan.found.size(), 2u);
  EXPECT_EQ(scan.found[0].name, "/dev/ttyAMA0");
  EXPECT_EQ(scan.found[0].about, "uart-pl011");
  EXPECT_NE(scan.found[0].user.find("(process " + std::to_string(::getpid()) + ")"),
            std::string::npos)
      << scan.found[0].user;
  EXPECT_EQ(scan.found[1], (Found{.name = "/dev/serial/by-id/usb-FTDI_A1-if00-port0",
                                  .about = "FTDI FT232R USB UART, ftdi_sio, now /dev/ttyUSB0",
                                  .user = ""}));
  EXPECT_EQ(scan.hint, "options.url = \"rtu:///dev/ttyAMA0?baud=9600\"");
}

TEST(Scan, SaysHowABusIsSwitchedOn) {
  Machine m;
  EXPECT_NE(scan_serial(m.root()).hint.find("dmesg"), std::string::npos);
  EXPECT_NE(scan_i2c(m.root(), "").hint.find("modprobe i2c-dev"), std::string::npos);
  EXPECT_EQ(scan_i2c(m.root(), "1").hint, scan_i2c(m.root(), "").hint);
  m.write("/proc/device-tree/model", std::string("Raspberry Pi 4 Model B Rev 1.4") + '\0');
  EXPECT_NE(scan_serial(m.root()).hint.find("raspi-config nonint do_serial_hw 0"),
            std::string::npos);
  EXPECT_NE(scan_i2c(m.root(), "").hint.find("raspi-config nonint do_i2c 0"), std::string::npos);
  EXPECT_NE(scan_iio(m.root()).hint.find("dtoverlay"), std::string::npos);
  EXPECT_FALSE(scan_gpio(m.root()).hint.empty());
}

TEST(Scan, FindsTheSensorsOfTheKernel) {
  const Machine m;
  m.write("/sys/devices/i2c-1/1-0076/iio:device0/name", "bme280\n");
  m.write("/sys/devices/i2c-1/1-0076/iio:device0/in_temp_input", "21500\n");
  m.write("/sys/devices/i2c-1/1-0076/iio:device0/in_pressure_input", "100.1\n");
  m.write("/sys/devices/i2c-1/1-0076/iio:device0/in_temp_oversampling_ratio", "2\n");
  m.link("/sys/bus/iio/devices/iio:device0", "/sys/devices/i2c-1/1-0076/iio:device0");
  m.write("/sys/class/hwmon/hwmon10/name", "w1_slave_temp\n");
  m.write("/sys/class/hwmon/hwmon10/temp1_input", "20000\n");
  m.link("/sys/class/hwmon/hwmon10/device", "/sys/devices/w1_bus_master1/28-00000a1b2c3d");
  m.write("/sys/class/hwmon/hwmon9/name", "cpu_thermal\n");
  const Scan scan = scan_iio(m.root());
  ASSERT_EQ(scan.found.size(), 3u);
  EXPECT_EQ(scan.found[0].name, "bme280");
  EXPECT_EQ(scan.found[0].about, "iio, parent 1-0076: in_pressure, in_temp");
  EXPECT_EQ(scan.found[1].name, "cpu_thermal");  // hwmon9 before hwmon10
  EXPECT_EQ(scan.found[2].about, "hwmon, parent 28-00000a1b2c3d: temp1");
  EXPECT_EQ(scan.hint.find("[[plugin.chip]]\nchip = \"bme280\""), 0u);
}

TEST(Scan, SaysWhatToDoAboutAFileThatMayNotBeOpened) {
  const test::TempDir dir;
  const std::string file = dir / "i2c-1";
  std::ofstream(file) << "";
  EXPECT_EQ(trouble_with(file, ENXIO), file + ": No such device or address");
  EXPECT_NE(trouble_with(file, EACCES).find("Permission denied: ask again with sudo"),
            std::string::npos);
}

}  // namespace
}  // namespace fieldpost::cli
