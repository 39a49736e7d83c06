package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine is what the figures were measured on.
type machine struct {
	cpu    string
	cores  int
	memory float64 // GiB; 0: not known
	system string
}

// thisMachine reads what Linux tells of the machine; elsewhere it is less.
func thisMachine() machine {
	m := machine{cpu: runtime.GOARCH, cores: runtime.NumCPU(), system: runtime.GOOS}
	if v := field("/proc/cpuinfo", "model name"); v != "" {
		m.cpu = v
	}
	var kib float64
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kib); err == nil {
		m.memory = kib / (1 << 20)
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.system = "Linux " + strings.TrimSpace(string(text))
	}
	return m
}

// field returns the value after "key:" in a file, "" when there is none.
func field(path, key string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (m machine) String() string {
	s := fmt.Sprintf("%s, %d cores", m.cpu, m.cores)
	if m.memory > 0 {
		s += fmt.Sprintf(", %.0f GiB", m.memory)
	}
	return s + ", " + m.system + ", " + runtime.Version()
}
