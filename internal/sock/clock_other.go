//go:build !linux

package sock

func monotonic() (int64, bool) { return 0, false }
