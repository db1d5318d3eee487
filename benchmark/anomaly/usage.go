package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// meter keeps the CPU time of the process, user and system, and the wall time of each step.
type meter struct {
	cpu, latency []time.Duration
}

// step runs and measures f.
func (m *meter) step(f func() error) error {
	cpu, began := cpuTime(), time.Now()
	err := f()
	took, used := time.Since(began), cpuTime()-cpu
	m.cpu = append(m.cpu, used)
	m.latency = append(m.latency, took)
	return err
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("getrusage of this process: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rounds is the number of equal parts that the steps are cut into to find the quietest one.
const rounds = 5

// perPoint is the CPU time in nanoseconds of one of a step's points: the mean of all steps, and that of the round in which
// others disturbed least.
func (m *meter) perPoint(points int) (mean, quietest float64) {
	per := func(cpu []time.Duration) float64 {
		var sum time.Duration
		for _, d := range cpu {
			sum += d
		}
		return float64(sum.Nanoseconds()) / float64(len(cpu)*points)
	}
	mean = per(m.cpu)
	quietest = mean
	for round := range slices.Chunk(m.cpu, (len(m.cpu)+rounds-1)/rounds) {
		quietest = min(quietest, per(round))
	}
	return mean, quietest
}

// at is a quantile of the latencies.
func (m *meter) at(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(m.latency))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func (m *meter) latencies() string {
	return fmt.Sprintf("%s\t%s\t%s", ms(m.at(0.5)), ms(m.at(0.99)), ms(m.at(1)))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

// heap is what is in use after a collection.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one finalised
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// mallocs is the number of objects ever allocated.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

func machine(out io.Writer) {
	fmt.Fprintf(out, "%s, %d of %d CPUs, %s/%s\n", runtime.Version(), runtime.GOMAXPROCS(0), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
}
