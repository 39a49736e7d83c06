package sock

import "golang.org/x/sys/unix"

// monotonic returns CLOCK_MONOTONIC in microseconds.
func monotonic() (int64, bool) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, false
	}
	return t.Nano() / 1000, true
}
