// SPDX-License-Identifier: GPL-3.0-or-later
//
// A SoapySDR driver without a radio, for tests: what is sent comes back through a cable of 70 dB loss, with the noise
// and the carrier offset of a receiver, clipped as a converter clips. `driver=loopback`; with `busy=1` it cannot be
// opened. Without a sender there is only noise.

#include <SoapySDR/Device.hpp>
#include <SoapySDR/Errors.hpp>
#include <SoapySDR/Formats.hpp>
#include <SoapySDR/Registry.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <complex>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <random>
#include <stdexcept>

using Sample = std::complex<float>;
static const double LOSS_DB = 70.0;
static const double NOISE_DB = -90.0; // at the antenna, of full scale
static const size_t CABLE = 1 << 16;  // samples on their way at most

class Loopback : public SoapySDR::Device
{
    std::mutex mutex;
    std::condition_variable moved;
    std::deque<Sample> cable;
    std::mt19937 random{1};
    std::normal_distribution<float> normal{0.0f, 1.0f};
    double gains[2] = {0.0, 0.0}, frequencies[2] = {1e8, 1e8}, rates[2] = {1e6, 1e6};
    bool sending = false;
    double phase = 0.0;
    int tx = 0, rx = 0;

public:
    std::string getDriverKey() const override { return "loopback"; }
    std::string getHardwareKey() const override { return "loopback"; }
    size_t getNumChannels(const int) const override { return 1; }
    bool getFullDuplex(const int, const size_t) const override { return true; }

    std::vector<std::string> listAntennas(const int direction, const size_t) const override
    {
        return {direction == SOAPY_SDR_TX ? "OUT" : "IN"};
    }
    std::string getAntenna(const int direction, const size_t c) const override { return listAntennas(direction, c)[0]; }
    void setAntenna(const int, const size_t, const std::string&) override {}

    std::vector<std::string> listGains(const int, const size_t) const override { return {"AMP"}; }
    void setGain(const int d, const size_t, const std::string&, const double value) override { gains[d] = value; }
    double getGain(const int d, const size_t, const std::string&) const override { return gains[d]; }
    SoapySDR::Range getGainRange(const int d, const size_t, const std::string&) const override
    {
        return {0.0, d == SOAPY_SDR_TX ? 60.0 : 50.0};
    }

    std::vector<std::string> listFrequencies(const int, const size_t) const override { return {"RF"}; }
    void setFrequency(const int d, const size_t, const std::string&, const double f, const SoapySDR::Kwargs&) override
    {
        frequencies[d] = f;
    }
    double getFrequency(const int d, const size_t, const std::string&) const override { return frequencies[d]; }
    SoapySDR::RangeList getFrequencyRange(const int, const size_t, const std::string&) const override
    {
        return {{1e6, 6e9}};
    }
    SoapySDR::ArgInfoList getFrequencyArgsInfo(const int, const size_t) const override { return {}; }

    void setSampleRate(const int d, const size_t, const double rate) override { rates[d] = rate; }
    double getSampleRate(const int d, const size_t) const override { return rates[d]; }
    SoapySDR::RangeList getSampleRateRange(const int, const size_t) const override { return {{1e5, 2e7}}; }
    void setBandwidth(const int, const size_t, const double) override {}
    double getBandwidth(const int d, const size_t) const override { return rates[d]; }
    SoapySDR::RangeList getBandwidthRange(const int, const size_t) const override { return {{1e5, 2e7}}; }

    std::vector<std::string> getStreamFormats(const int, const size_t) const override { return {SOAPY_SDR_CF32}; }
    std::string getNativeStreamFormat(const int, const size_t, double& full) const override
    {
        full = 1.0;
        return SOAPY_SDR_CF32;
    }
    SoapySDR::Stream* setupStream(const int d, const std::string&, const std::vector<size_t>&,
                                  const SoapySDR::Kwargs&) override
    {
        return reinterpret_cast<SoapySDR::Stream*>(d == SOAPY_SDR_TX ? &tx : &rx);
    }
    void closeStream(SoapySDR::Stream*) override {}
    size_t getStreamMTU(SoapySDR::Stream*) const override { return 8192; }
    int activateStream(SoapySDR::Stream* stream, const int, const long long, const size_t) override
    {
        std::lock_guard<std::mutex> lock(mutex);
        if (stream == reinterpret_cast<SoapySDR::Stream*>(&tx)) {
            sending = true;
        }
        return 0;
    }
    int deactivateStream(SoapySDR::Stream* stream, const int, const long long) override
    {
        std::lock_guard<std::mutex> lock(mutex);
        if (stream == reinterpret_cast<SoapySDR::Stream*>(&tx)) {
            sending = false;
        }
        moved.notify_all();
        return 0;
    }

    int writeStream(SoapySDR::Stream*, const void* const* buffers, const size_t count, int&, const long long,
                    const long timeout_us) override
    {
        std::unique_lock<std::mutex> lock(mutex);
        const auto patience = std::chrono::microseconds(timeout_us);
        if (!moved.wait_for(lock, patience, [this] { return cable.size() < CABLE; })) {
            return SOAPY_SDR_TIMEOUT;
        }
        const auto* samples = static_cast<const Sample*>(buffers[0]);
        const size_t n = std::min(count, CABLE - cable.size());
        for (size_t i = 0; i < n; i++) {
            const float size = std::max(std::abs(samples[i].real()), std::abs(samples[i].imag()));
            if (size > 1.0f) {
                throw std::runtime_error("a sample above full scale");
            }
            cable.push_back(samples[i]);
        }
        moved.notify_all();
        return static_cast<int>(n);
    }

    int readStream(SoapySDR::Stream*, void* const* buffers, const size_t count, int&, long long&,
                   const long timeout_us) override
    {
        std::unique_lock<std::mutex> lock(mutex);
        if (sending && cable.empty()) {
            moved.wait_for(lock, std::chrono::microseconds(timeout_us),
                           [this] { return !cable.empty() || !sending; });
        }
        size_t n = count;
        if (!cable.empty()) {
            n = std::min(count, cable.size());
        } else if (sending) {
            return SOAPY_SDR_TIMEOUT;
        }
        const float receive = std::pow(10.0, gains[SOAPY_SDR_RX] / 20.0);
        const float through = receive * std::pow(10.0, (gains[SOAPY_SDR_TX] - LOSS_DB) / 20.0);
        const float noise = receive * std::pow(10.0, NOISE_DB / 20.0) / std::sqrt(2.0f);
        auto* out = static_cast<Sample*>(buffers[0]);
        for (size_t i = 0; i < n; i++) {
            Sample value(noise * normal(random), noise * normal(random));
            if (!cable.empty()) {
                value += through * cable.front() * std::polar(1.0f, static_cast<float>(phase));
                cable.pop_front();
            }
            phase = std::fmod(phase + 6.283185307179586 * 1e-3, 6.283185307179586);
            out[i] = Sample(std::clamp(value.real(), -1.0f, 1.0f), std::clamp(value.imag(), -1.0f, 1.0f));
        }
        moved.notify_all();
        return static_cast<int>(n);
    }
};

static SoapySDR::KwargsList find(const SoapySDR::Kwargs& args)
{
    const auto driver = args.find("driver");
    if (driver == args.end() || driver->second != "loopback") {
        return {};
    }
    return {args};
}

static SoapySDR::Device* make(const SoapySDR::Kwargs& args)
{
    if (args.count("busy")) {
        throw std::runtime_error("device is claimed by another program");
    }
    return new Loopback();
}

static SoapySDR::Registry loopback("loopback", &find, &make, SOAPY_SDR_ABI_VERSION);
