package websocket

import (
	"net"
	"time"

	"github.com/tidewaiter/tidewaiter/shaper"
)

// growth counts what messages have more when they are decompressed: it is limited at the
// rate at which the client is read, so that compression is no way around that. The nil
// growth is none.
type growth struct {
	shaped *shaper.Conn
	owed   int // of the goroutine that reads: what was not counted yet
}

func newGrowth() *growth { return &growth{shaped: shaper.NewConn(unsent{}, shaper.Rate{})} }

// unsent is a connection of bytes that nobody has sent.
type unsent struct{ net.Conn }

func (unsent) Read(b []byte) (int, error)      { return len(b), nil }
func (unsent) SetReadDeadline(time.Time) error { return nil }

// blank is read into, and stays as it is.
var blank [4 << 10]byte

// add notes by how much a message has grown.
func (g *growth) add(n int) {
	if g != nil {
		g.owed += n
	}
}

// wait waits until the next message may be read.
func (g *growth) wait() error {
	if g == nil {
		return nil
	}
	for g.owed > 0 {
		n, err := g.shaped.Read(blank[:min(g.owed, len(blank))])
		g.owed -= n
		if err != nil {
			return err
		}
	}
	return g.shaped.WaitCredit()
}

func (g *growth) setRate(r shaper.Rate) {
	if g != nil {
		g.shaped.SetRate(r)
	}
}

func (g *growth) setDeadline(d time.Time) {
	if g != nil {
		_ = g.shaped.SetReadDeadline(d)
	}
}
