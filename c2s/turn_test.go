package c2s

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurn checks that a turn is one's alone, and comes in the order of asking.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u turn
		var order []string
		u.take(nil)
		for i := range 5 {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if i == 2 || i == 4 {
					cancel()
				}
				if !u.take(ctx.Done()) {
					order = append(order, fmt.Sprint("not ", i))
					return
				}
				order = append(order, fmt.Sprint(i))
				time.Sleep(3 * time.Second)
				u.give()
			}()
			synctest.Wait()
		}
		time.Sleep(5 * time.Second)
		u.give()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := strings.Join(order, ", "); got != "not 2, not 4, 0, 1, 3" {
			t.Errorf("got the turn in the order %s, want not 2, not 4, 0, 1, 3", got)
		}
		if u.held || u.waiting != nil {
			t.Errorf("got %+v, want it free", &u)
		}
	})
}

// TestTurnRace lets takers give up when their turn comes.
func TestTurnRace(t *testing.T) {
	var u turn
	var all sync.WaitGroup
	inside, count := 0, 0
	for i := range 8 {
		all.Go(func() {
			for range 1000 {
				done := make(chan struct{})
				if i%2 == 0 {
					go close(done)
				} else {
					done = nil
				}
				if !u.take(done) {
					continue
				}
				if inside++; inside > 1 {
					t.Error("two have the turn")
				}
				count++
				inside--
				u.give()
			}
		})
	}
	all.Wait()
	if count < 4000 || u.held || len(u.waiting) > 0 {
		t.Errorf("got %d turns, %+v, want at least 4000, and it is free", count, &u)
	}
}
