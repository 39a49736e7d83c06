package c2s

import (
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestShutdownMeetsNewClients stops a listener while clients come and go: each is
// told, or finds nobody.
func TestShutdownMeetsNewClients(t *testing.T) {
	for i := range 50 {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, manage)
			var clients sync.WaitGroup
			for k := range 4 {
				conn := r.ln.Dial()
				clients.Go(func() {
					if k == 0 {
						conn.Close()
						return
					}
					_, _ = io.WriteString(conn, header("one.test"))
					got, _ := io.ReadAll(conn)
					if s := string(got); s != "" && !strings.Contains(s, "<system-shutdown ") {
						t.Errorf("got %s, want the stream error system-shutdown", s)
					}
					conn.Close()
				})
			}
			if i%2 == 0 {
				synctest.Wait()
			}
			began := time.Now()
			r.stop(io.EOF)
			clients.Wait()
			if took := time.Since(began); took > r.o.Grace {
				t.Errorf("the listener ended after %v, want %v at most", took, r.o.Grace)
			}
		})
	}
}

// TestShutdownSparesResumed stops a listener just after a session of it was
// resumed on another one.
func TestShutdownSparesResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		_, id := r.managed("ana", "boat")
		other := r.second(nil)
		c, _ := other.resume("ana", id, 0)
		r.stop(io.EOF)
		c.Send(message("bo@one.test", "x"))
		<-r.fake.routed
		if len(r.fake.ended) > 0 {
			t.Error("the session ended with its former listener")
		}
	})
}
