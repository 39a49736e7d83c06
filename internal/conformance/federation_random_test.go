package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// weather is what a storm does to the connections between servers.
type weather int

const (
	calm  weather = iota // nothing breaks, but idle streams end soon
	rough                // they break at random places
	acked                // so they do, but there is stream management
)

// TestFederationRandom has romeo and juliet send each other numbered messages
// at random times. What arrives arrives once. It is written in order, whatever the
// streams it takes; and so it arrives (RFC 6120, section 10.1), unless streams
// break that nobody acknowledges: the other server may read the end of one after the
// beginning of the next. While nothing breaks everything arrives. With stream
// management (XEP-0198, section 4) each message arrives or is returned, or both when
// the servers can not know; without it, and on a stream in both directions before the
// other server has enabled it, some may be lost.
func TestFederationRandom(t *testing.T) {
	single := func(with func(*federation)) func(*federation) {
		return func(f *federation) {
			with(f)
			for _, s := range f.order {
				setBidi(s)
			}
		}
	}
	var rows []frow
	for seed := range uint64(10) {
		for _, c := range []struct {
			name string
			with func(*federation)
			w    weather
		}{
			{"calm, dialback, both directions", world, calm}, {"calm, both directions", secureWorld, calm},
			{"calm, dialback", single(world), calm}, {"calm", single(secureWorld), calm},
			{"rough, dialback", world, rough}, {"rough", secureWorld, rough},
			{"managed", single(secureWorld), acked},
		} {
			rows = append(rows, frow{name: fmt.Sprint(c.name, " ", seed), with: func(f *federation) {
				c.with(f)
				for _, s := range f.order {
					s.settings.Timeout.Value = 20 * time.Second
				}
			}, do: func(f *federation) { f.storm(seed, c.w) }})
		}
	}
	runFederation(t, rows)
}

func (f *federation) storm(seed uint64, w weather) {
	r := rand.New(rand.NewPCG(seed, 2))
	f.script("login ro 0\nlogin jb 0")
	lengths := rand.New(rand.NewPCG(seed, 3)) // under the lock of the network
	if w != calm {
		f.net.breaks = func() int { return 500 + lengths.IntN(20000) }
	}
	arrived, returned := map[string][]int{}, map[string][]int{}
	collect := func() {
		for _, name := range []string{"ro", "jb"} {
			for _, e := range f.client(name).take() {
				id, err := strconv.Atoi(e.attr("id"))
				switch {
				case err != nil || e.name.Local != "message":
					f.fail("%s got %s", name, e.raw)
				case e.attr("type") == "error":
					returned[name] = append(returned[name], id)
				default:
					arrived[name] = append(arrived[name], id)
				}
			}
		}
	}
	const messages = 150
	for i := range messages {
		f.client("ro").send(fmt.Sprintf("<message to='juliet@two.example/balcony' id='%d'><body>%d</body></message>", i, i))
		f.client("jb").send(fmt.Sprintf("<message to='romeo@one.example/orchard' id='%d'><body>%d</body></message>", i, i))
		switch r.IntN(4) {
		case 0:
			collect()
		case 1:
			<-time.After(time.Duration(r.IntN(100)) * time.Second)
		}
	}
	f.net.mu.Lock()
	f.net.breaks = nil
	f.net.mu.Unlock()
	for range 30 {
		<-time.After(time.Minute)
		collect()
	}
	f.tally("ro", w, messages, arrived["jb"], returned["ro"])
	f.tally("jb", w, messages, arrived["ro"], returned["jb"])
	if w != rough || f.order[0].secure {
		return
	}
	for short, name := range map[string]string{"ro": "romeo", "jb": "juliet"} {
		if w := f.net.written[name]; len(w) < messages/2 || !slices.IsSorted(w) {
			f.fail("written by %s, want most of %d in order: %v; returned: %v", short, messages, w, returned[short])
		}
	}
}

// tally checks what has become of the messages of a client.
func (f *federation) tally(name string, w weather, messages int, arrived, returned []int) {
	seen, back := make([]int, messages), make([]int, messages)
	last := -1
	for _, id := range arrived {
		seen[id]++
		if id < last && w != rough {
			f.fail("%d of %s arrived after %d", id, name, last)
		}
		last = id
	}
	for _, id := range returned {
		back[id]++
	}
	for id := range messages {
		if seen[id] > 1 || back[id] > 1 || w == acked && seen[id]+back[id] == 0 || w == calm && seen[id] == 0 {
			f.fail("%d of %s arrived %d times and was returned %d times", id, name, seen[id], back[id])
		}
	}
}
