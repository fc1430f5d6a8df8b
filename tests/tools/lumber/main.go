// Sends events with the library that Filebeat's own output to port 5044 is made of, and with Filebeat's settings: 2,048
// events a window at most, two windows under way, zlib at level 3; what was not acknowledged is sent again, in its order,
// over a new connection.
//
//	lumber ADDRESS EVENTS.ndjson
//
// Prints how many events are acknowledged, a line after each window, and at the end the number of its connections.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/elastic/go-lumber/client/v2"
)

const (
	windowEvents = 2048
	underWay     = 2
	compression  = 3
	timeout      = 30 * time.Second
	backOff      = 20 * time.Millisecond
	lineBytes    = 4 << 20
)

// A window is what is sent, and acknowledged, as one.
type window struct {
	events       []interface{}
	acknowledged int
}

func read(path string) []*window {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	var windows []*window
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, lineBytes), lineBytes)
	for lines.Scan() {
		if last := len(windows) - 1; last < 0 || len(windows[last].events) == windowEvents {
			windows = append(windows, &window{})
		}
		last := windows[len(windows)-1]
		last.events = append(last.events, json.RawMessage(append([]byte(nil), lines.Bytes()...)))
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	return windows
}

// A sender knows how far it is.
type sender struct {
	address string
	total   int
}

// Sends the windows over one connection and returns what is left of them when that ends.
func (s *sender) send(windows []*window) []*window {
	client, err := v2.AsyncDial(s.address, underWay, v2.CompressionLevel(compression), v2.Timeout(timeout))
	if err != nil {
		return windows
	}
	var calls sync.WaitGroup
	for _, one := range windows {
		calls.Add(1)
		// The library calls back from one goroutine, window after window.
		err := client.Send(func(sequence uint32, _ error) {
			defer calls.Done()
			one.acknowledged = int(sequence)
			s.total += one.acknowledged
			fmt.Println(s.total)
		}, one.events)
		if err != nil {
			break
		}
	}
	calls.Wait()
	_ = client.Close()
	var left []*window
	for _, one := range windows {
		if rest := one.events[one.acknowledged:]; len(rest) > 0 {
			left = append(left, &window{events: rest})
		}
	}
	return left
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: lumber ADDRESS EVENTS.ndjson")
	}
	s, connections := sender{address: os.Args[1]}, 0
	for left := read(os.Args[2]); len(left) > 0; connections++ {
		if left = s.send(left); len(left) > 0 {
			time.Sleep(backOff)
		}
	}
	fmt.Println("connections", connections)
}
