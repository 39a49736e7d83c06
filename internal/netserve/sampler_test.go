package netserve_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// A flood of connections that fail costs few lines, and all of it is accounted
// for soon after its end, while the listener goes on.
func TestFloodOfFailures(t *testing.T) {
	const flood = 10_000
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ln := listentest.NewListener()
		failed := &netserve.UserError{User: "ana@one.test/boat", Err: errors.New("no such luck")}
		result := start(t.Context(), ln, func(context.Context, net.Conn) error { return fmt.Errorf("session: %w", failed) },
			netserve.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range flood {
			if i%100 == 0 {
				time.Sleep(50 * time.Millisecond) // 5 s in all
			}
			_ = ln.Dial().Close()
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) > 20 {
			t.Errorf("got %d lines for %d failures in 5 s, want at most 20", len(lines), flood)
		}
		total := 0
		for _, line := range lines {
			if strings.Contains(line, `msg="connection failed"`) {
				total++
				for _, want := range []string{"peer=198.51.100.1:", `err="session: no such luck"`, "user=ana@one.test/boat"} {
					if !strings.Contains(line, want) {
						t.Errorf("got %s, want it to contain %s", line, want)
					}
				}
			}
			if m := regexp.MustCompile(`suppressed=(\d+)`).FindStringSubmatch(line); m != nil {
				n, _ := strconv.Atoi(m[1])
				total += n
			}
		}
		if total != flood {
			t.Errorf("the lines account for %d failures, want %d:\n%s", total, flood, log.String())
		}
		if last := lines[len(lines)-1]; !strings.Contains(last, "further connections failed") {
			t.Errorf("last line: got %s, want the summary", last)
		}
		_ = ln.Close()
		<-result
		if n := strings.Count(log.String(), "\n"); n != len(lines) {
			t.Errorf("the end of the listener wrote %d more lines, want none", n-len(lines))
		}
	})
}

// Flush does not wait for the summary, which then does not come any more.
func TestFlushReplacesTheSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := netserve.NewSampler(slog.New(slog.NewTextHandler(&log, nil)), "further attempts failed")
		for range 15 {
			s.Log(t.Context(), slog.LevelInfo, "failed")
		}
		began := time.Now()
		s.Flush()
		if d := time.Since(began); d != 0 {
			t.Errorf("Flush took %v", d)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := log.String(); strings.Count(got, "\n") != 11 || !strings.HasSuffix(got, "msg=\"further attempts failed\" suppressed=5\n") {
			t.Errorf("got %s, want ten lines and the summary", got)
		}
	})
}
