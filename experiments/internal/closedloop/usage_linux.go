package closedloop

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticksPerSecond is the unit of times in /proc, which is the same on all architectures that Go runs on.
const ticksPerSecond = 100

// usage returns the CPU time in seconds that the process has used, and the memory in bytes that is resident.
func (p *process) usage() (cpu, memory float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	// After the name, which may hold anything, come the state and numbers: the 12th and 13th are user and system time, the 22nd pages.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	numbers := make([]float64, 0, 3)
	for _, i := range []int{11, 12, 21} {
		if i >= len(fields) {
			return 0, 0, fmt.Errorf("/proc tells too little of the collector: %d fields", len(fields))
		}
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return 0, 0, err
		}
		numbers = append(numbers, n)
	}
	return (numbers[0] + numbers[1]) / ticksPerSecond, numbers[2] * float64(os.Getpagesize()), nil
}
