package meter

import (
	"runtime"
	"testing"
)

func TestParseDrops(t *testing.T) {
	const head = "Ip: Forwarding\nIp: 1\n"
	const names = "Udp: InDatagrams RcvbufErrors SndbufErrors MemErrors\n"
	for _, c := range []struct {
		name, text string
		want       Drops
		ok         bool
	}{
		{"usual", head + names + "Udp: 7 3 2 1\nUdpLite: RcvbufErrors\nUdpLite: 9\n", Drops{Receive: 3, Send: 2}, true},
		{"none", head, Drops{}, false},
		{"names only", names, Drops{}, false},
		{"too few", names + "Udp: 7 3\n", Drops{}, false},
		{"no number", names + "Udp: 7 x 2 1\n", Drops{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseDrops(c.text)
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("got %+v, %v; want %+v, ok %v", got, err, c.want, c.ok)
			}
		})
	}
	if got := (Drops{Receive: 5, Send: 4}).Since(Drops{Receive: 2, Send: 4}); got != (Drops{Receive: 3}) || got.Sum() != 3 {
		t.Errorf("since: got %+v", got)
	}
}

func TestReadDrops(t *testing.T) {
	if _, err := ReadDrops(); (err == nil) != (runtime.GOOS == "linux") {
		t.Errorf("got %v", err)
	}
}
