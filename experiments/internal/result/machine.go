package result

import (
	"bufio"
	"os"
	"runtime"
	"strings"
)

// Machine is the class of machine that an experiment ran on. It does not tell which one.
type Machine struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu"`
	System string `json:"system"`
	Go     string `json:"go"`
}

// ThisMachine describes the machine it is called on.
func ThisMachine() Machine {
	return Machine{
		Cores: runtime.NumCPU(), CPU: processor("/proc/cpuinfo"), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}
}

// processor reads the model of the first processor, "unknown" if the system does not tell.
func processor(path string) string {
	const unknown = "unknown"
	f, err := os.Open(path)
	if err != nil {
		return unknown
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}
