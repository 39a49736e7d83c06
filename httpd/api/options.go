package api

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// Options of a Handler. They are data: they can be printed, compared and read again from
// a file. The names in the tags are those of mod_http_api. Start from Defaults.
type Options struct {
	// DefaultVersion is the version of the API of requests that name none. Default:
	// Newest.
	DefaultVersion Version `conf:"default_version,number"`
}

// Defaults returns the options of a handler that configures nothing.
func Defaults() Options { return Options{DefaultVersion: Newest} }

// Version is a version of the API. A command is what it was in that version.
type Version int

// Newest is the version that has the commands as they are today.
const Newest Version = command.Newest

// UnmarshalText reads a version from 0 to 3, or a release of ejabberd (24.06), which
// stands for the version of its API.
func (v *Version) UnmarshalText(text []byte) error {
	s := string(text)
	if len(s) == 1 && s[0] >= '0' && s[0] <= '3' {
		*v = Version(s[0] - '0')
		return nil
	}
	year, month, ok := strings.Cut(s, ".")
	y, err1 := strconv.ParseUint(year, 10, 8)
	m, err2 := strconv.ParseUint(month, 10, 8)
	if !ok || len(year) != 2 || len(month) != 2 || err1 != nil || err2 != nil || m < 1 || m > 12 {
		return fmt.Errorf("want a number from 0 to 3 or a release of ejabberd such as \"24.06\", got %q", s)
	}
	switch release := y*100 + m; {
	case release >= 2406:
		*v = 2
	case release > 2310:
		*v = 1
	default:
		*v = 0
	}
	return nil
}
