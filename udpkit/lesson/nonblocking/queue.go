package nonblocking

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// checkTime is how long the reader's function may take for anything.
const checkTime = time.Second

// CheckQueue checks the first exercise: put sends n into a queue, at its end in; if that is full it
// drops the oldest, from the end out. It never waits, though others use the queue at the same time,
// and returns how many it dropped.
func CheckQueue(put func(in chan<- int, out <-chan int, n int) (dropped int)) error {
	return exercise.Report(context.Background(), checkQueue(put), nil)
}

// putFunc is the reader's.
type putFunc = func(in chan<- int, out <-chan int, n int) (dropped int)

func checkQueue(put putFunc) (missing string) {
	for range 20 { // a select may take either way
		if missing := checkOldest(put); missing != "" {
			return missing
		}
	}
	if missing := checkPace(put); missing != "" {
		return missing
	}
	for range 10 { // a busy machine may let put come too late for it once
		if missing := checkShared(put); missing != "" {
			return missing
		}
	}
	return ""
}

// checkOldest has five numbers put into a queue of three.
func checkOldest(put putFunc) (missing string) {
	queue, dropped, three := make(chan int, 3), 0, 0
	var at atomic.Int64
	c := exercise.Start(func() error {
		for n := 1; n <= 5; n++ {
			at.Store(int64(n))
			dropped += put(queue, queue, n)
			if n == 3 {
				three = len(queue)
			}
		}
		return nil
	})
	defer free(c, queue, queue)
	switch err, ended := c.Within(context.Background(), checkTime); {
	case !ended:
		return fmt.Sprintf("put waits at number %d, when the queue is full. A select with a default does not wait", at.Load())
	case err != nil:
		return "put: " + err.Error()
	case three != 3:
		return fmt.Sprintf("three numbers were put, and %d are in the queue", three)
	}
	if n := c.Left(); n > 0 {
		return fmt.Sprintf("put has returned, and %s of its own may still wait in its place", format.Plural(n, "goroutine"))
	}
	var left []int
	for len(queue) > 0 {
		left = append(left, <-queue)
	}
	switch {
	case !slices.Equal(left, []int{3, 4, 5}):
		return fmt.Sprintf("after 1 to 5 a queue of three holds %v; the newest are [3 4 5]", left)
	case dropped != 2:
		return fmt.Sprintf("the queue holds the right numbers, but put reports %d dropped instead of 2", dropped)
	}
	return ""
}

// checkPace has many numbers put into a full queue. A put that rests at each is not done in time.
func checkPace(put putFunc) (missing string) {
	const many = 2000
	queue := make(chan int, 3)
	var done, stop atomic.Int64
	var slept int64
	ready := make(chan struct{})
	var c *exercise.Call
	c = exercise.Start(func() error {
		<-ready
		before, told := c.Usage()
		defer func() {
			if after, ok := c.Usage(); ok && told {
				slept = after.WakeUps - before.WakeUps
			}
		}()
		for n := 0; n < many && stop.Load() == 0; n++ {
			put(queue, queue, n)
			done.Add(1)
		}
		return nil
	})
	close(ready)
	defer free(c, queue, queue)
	defer stop.Store(1)
	switch err, ended := c.Within(context.Background(), checkTime); {
	case !ended:
		return fmt.Sprintf("of %d numbers for a full queue, put has done %d after a second: it waits, or rests, somewhere", many, done.Load())
	case err != nil:
		return "put: " + err.Error()
	case slept > many/4:
		return fmt.Sprintf("of %d numbers for a full queue, put has gone to sleep at %d: it waits, or rests, somewhere", many, slept)
	}
	return ""
}

// checkShared plays the others who use the queue, at the very moments that matter: they take the
// room that put has made, and then they empty the queue behind its back. For that, the ends of this
// queue are two channels: in is full until the check says otherwise, and out holds what can be
// dropped.
func checkShared(put putFunc) (missing string) {
	const others, number = 3, 9
	in, out := make(chan int, 1), make(chan int, others)
	in <- 0
	for n := range others {
		out <- n
	}
	dropped := 0
	c := exercise.Start(func() error {
		dropped = put(in, out, number)
		return nil
	})
	defer free(c, in, out)
	err, ended := error(nil), false
	for began := time.Now(); !ended && len(out) > 0; {
		if time.Since(began) > checkTime {
			return fmt.Sprintf("put found the queue full and dropped %d, but somebody else was quicker and took the room. Now put waits. What if it looked again?", others-len(out))
		}
		err, ended = c.Within(context.Background(), time.Millisecond)
	}
	if !ended { // it looks once more: the queue is full, and what could be dropped is gone
		err, ended = c.Within(context.Background(), 5*time.Millisecond)
	}
	switch {
	case err != nil:
		return "put: " + err.Error()
	case ended:
		return fmt.Sprintf("put found the queue full and dropped %d, but somebody else was quicker and took the room. Then put gave up: its number is not in the queue", others-len(out))
	}
	<-in
	switch err, ended := c.Within(context.Background(), checkTime); {
	case !ended:
		return "put found the queue full, and then somebody else emptied it. A second later put still waits, though there is room. What if there is nothing left to drop?"
	case err != nil:
		return "put: " + err.Error()
	case len(in) != 1 || <-in != number:
		return "put found the queue full, and then somebody else emptied it; put returned, and its number is not in the queue"
	case dropped != others:
		return fmt.Sprintf("put dropped %d, somebody else took the others, and put reports %d", others, dropped)
	}
	return ""
}

// free ends the goroutines that wait for room in one channel, or for something to take from the
// other.
func free(c *exercise.Call, in <-chan int, out chan<- int) {
	for range 50 {
		if all, _ := c.Goroutines(""); all == 0 {
			return
		}
		for range cap(in) {
			select {
			case <-in:
			default:
			}
		}
		time.Sleep(2 * time.Millisecond)
		select {
		case out <- 0:
		default:
		}
	}
}
