package component

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// touchy panics when it hears of the end of a component.
type touchy struct{}

func (touchy) Connected(context.Context, string, stanza.Sink)    {}
func (touchy) Disconnected(context.Context, string, stanza.Sink) { panic("touchy") }

// Events that panic do not cost anybody his stanzas.
func TestEventsPanicAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.server.h.Events = touchy{}
		c := r.connect("bot.test")
		r.stall("ana@house.test", "bot.test")
		_ = r.deliver(message("ana@house.test", "bot.test", "1"))
		c.Close()
		time.Sleep(5 * time.Second)
		if n := len(r.router.routed); n != 2 {
			t.Errorf("got %d stanzas back, want both that the component has not got", n)
		}
	})
}

// A host that panics over one stanza that is returned gets the others all the same.
func TestRoutePanicsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Int32
		r := start(t, func(r *rig) {
			r.router.onRoute = func(st *stanza.Stanza) error {
				if st.ID == "big" {
					panic("touchy")
				}
				back.Add(1)
				return nil
			}
		})
		c := r.connect("bot.test")
		r.stall("ana@house.test", "bot.test")
		_ = r.deliver(message("ana@house.test", "bot.test", "1"))
		_ = r.deliver(message("bo@house.test", "bot.test", "2"))
		c.Close()
		time.Sleep(5 * time.Second)
		if n := back.Load(); n != 2 {
			t.Errorf("got %d more stanzas back, want 2", n)
		}
	})
}
