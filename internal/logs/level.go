package logs

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
)

// Level is one of ejabberd's log levels: none, emergency, alert, critical,
// error, warning, notice, info or debug. It lets through what is at least as
// grave. The zero Level is none of them and stands for a level that is not set.
type Level string

// Info is the level of a program that sets none.
const Info Level = "info"

// meaning is what a level is here.
type meaning struct {
	name  Level
	level slog.Level
}

// meanings has the levels from the gravest to the least.
func meanings() []meaning {
	return []meaning{
		{"none", math.MaxInt},
		{"emergency", slog.LevelError + 12},
		{"alert", slog.LevelError + 8},
		{"critical", slog.LevelError + 4},
		{"error", slog.LevelError},
		{"warning", slog.LevelWarn},
		{"notice", slog.LevelInfo + 2},
		{"info", slog.LevelInfo},
		{"debug", slog.LevelDebug},
	}
}

// numbered are the levels that ejabberd also knows by their numbers, from 0.
func numbered() []Level {
	return []Level{"none", "critical", "error", "warning", "info", "debug"}
}

// UnmarshalText reads the name of a level, or its number from 0 to 5.
func (l *Level) UnmarshalText(text []byte) error {
	s := string(text)
	if i, err := strconv.Atoi(s); err == nil && i >= 0 && i < len(numbered()) {
		*l = numbered()[i]
		return nil
	}
	for _, m := range meanings() {
		if string(m.name) == s {
			*l = m.name
			return nil
		}
	}
	return fmt.Errorf("want none, emergency, alert, critical, error, warning, notice, info, debug or a number from 0 to 5, got %q", s)
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l), nil }

// slog returns the least level that l lets through.
func (l Level) slog() slog.Level {
	for _, m := range meanings() {
		if m.name == l {
			return m.level
		}
	}
	return slog.LevelInfo
}
