/* How an app falls asleep and is woken, and whether anybody is lost on the way: a model for Spin. See README.md. */

/* ### How to read this
 * Each `::` is something that may happen when its first expression is true. Which of those that may happen does, is
 * left to chance, and Spin tries every chance there is. `atomic` and `d_step` make one step of several: nobody comes
 * between. Names in capitals are the code's: states, events and verbs of words/states.py, the Master's records of its
 * workers in processes/roster.py. Quiesce, Resume and so on are messages of words/reports.py.
 */

/* ### How much of everything
 * CONNECTIONS that come in the whole run. MISFORTUNES: a process dies, or SIGTERM or SIGHUP comes. LONGS: requests for
 * which the app runs as long as it likes. DOZES: how often the app may doze.
 * SCREEN: probes are listed, so the Master accepts while it watches and while the app dozes. PAGE: a browser is shown the
 * waking page, so the Master accepts while the app wakes.
 * There is no clock: what takes time takes any time. But one thing a clock does for us. `idle` is long against the time
 * that a worker needs to accept somebody, so it cannot be each time that the Master asks for quiet before a worker has
 * looked. HASTE is how often that may be.
 */
#if defined(SCREEN) || defined(PAGE)
#define WITH_LOBBY
#endif
#ifdef SCREEN
#define SCREENING true
#else
#define SCREENING false
#endif
#ifdef PAGE
#define PAGING true
#else
#define PAGING false
#endif
#ifndef CONNECTIONS
#define CONNECTIONS 3
#endif
#ifndef MISFORTUNES
#define MISFORTUNES 1
#endif
#ifndef LONGS
#define LONGS 0
#endif
#ifndef DOZES
#define DOZES 0
#endif
#define HASTE 1
#define WORKERS 2
#define SLOTS 4                         /* rows of the scoreboard: two generations of workers */
#define GENERATIONS (1 + MISFORTUNES)   /* that can be there at once */
#define NONE_YET GENERATIONS            /* stands for no generation */
#define NUMBERS 3                       /* quiesces are numbered 1, 2, 3, 1 ...: see UP_TO_DATE */
#define FINAL (NUMBERS + 1)             /* the one without a way back; each worker is asked for that once */

#define EVERY(of) (of(0) && of(1) && of(2) && of(3))
#define ANY(of) (of(0) || of(1) || of(2) || of(3))
#define SUM(of) (of(0) + of(1) + of(2) + of(3))
#define COUNT(of, g) (of(0, g) + of(1, g) + of(2, g) + of(3, g))
#if MISFORTUNES == 0
#define NO_TEMPLATE(is) (!is(0))
#elif MISFORTUNES == 1
#define NO_TEMPLATE(is) (!is(0) && !is(1))
#else
#define NO_TEMPLATE(is) (!is(0) && !is(1) && !is(2))
#endif

/* ### The mutations
 * Each is the protocol with one mistake, chosen by -D and its name; scripts/proof.py knows which promise it must break.
 * First those in the Master's decisions.
 */
#ifdef SKIP_ACKS                        /* does not wait until all have answered the quiesce */
#define ALL_ANSWERED true
#else
#define ALL_ANSWERED (!ANY(WAITED_FOR))
#endif
#ifdef SKIP_COUNTS                      /* does not compare the counts of the answers with those of the decision */
#define COUNTS_MOVED false
#else
#define COUNTS_MOVED moved
#endif
#ifdef SKIP_POLL                        /* does not look at the listeners when all have answered */
#define SOMEBODY_WAITS false
#else
#define SOMEBODY_WAITS (backlog > 0)
#endif
#ifdef FORGET_VISITOR                   /* keeps no copy of a connection that is on its way to a worker */
#define KEEPS_COPY false
#else
#define KEEPS_COPY true
#endif
#ifdef LEAVE_LOBBY                      /* falls asleep while it still looks at somebody, or has sent him to a worker */
#define LOBBY_EMPTY true
#else
#define LOBBY_EMPTY (LOBBY == 0)
#endif
#ifdef STALE_ACK                        /* takes the answer to an older quiesce for one to this */
#define ANSWERS(n) true
#else
#define ANSWERS(n) (n == proof)
#endif
#ifdef STALE_RETIREMENT                 /* the same, of a worker that is to leave for good */
#define ANSWERS_LAST(n) true
#else
#define ANSWERS_LAST(n) (n == FINAL)
#endif
#ifdef FORK_IN_QUIESCE                  /* goes on to fork the workers that are missing while the others are asked */
#define FORKS_IN(s) (s == WAKING || s == AWAKE || s == FAILED || s == QUIESCING)
#define FORKS_ALL_IN(s) (s == AWAKE || s == QUIESCING)
#else
#define FORKS_IN(s) (s == WAKING || s == AWAKE || s == FAILED)
#define FORKS_ALL_IN(s) (s == AWAKE)    /* elsewhere one worker will do */
#endif
#ifdef ASK_UNSETTLED                    /* asks while a worker boots, which is not asked */
#define MAY_ASK true
#else
#define MAY_ASK SETTLED
#endif
/* Three things end a quiesce while its answers are out: each is a reason to resume. */
#ifdef NO_RESUME                        /* waits for all answers, whoever comes meanwhile */
#define HEEDS_STIRRED false
#else
#define HEEDS_STIRRED true              /* a worker says Stirred */
#endif
#if defined(NO_RESUME) || defined(STIRRED_ONLY)     /* waits, unless a worker tells it: but one that is busy cannot */
#define LISTENS_IN_QUIESCE false
#define LOOKS false
#else
#define LISTENS_IN_QUIESCE true         /* the Master sees a listener readable */
#define LOOKS true                      /* the scoreboard says that something is open */
#endif
#ifdef HEED_BROKEN                      /* believes a worker that is ready, of a generation that was given up */
#define BELIEVED(g) true
#else
#define BELIEVED(g) (!trouble[g])
#endif
#ifdef DROP_CALLERS                     /* falls asleep while the fuse still talks to somebody */
#define FUSE_SILENT true
#else
#define FUSE_SILENT (OPEN(FUSE) == 0)
#endif
#ifdef GIVE_UP_EARLY                    /* leaves with 69 while a retired worker still answers */
#define ALL_LEFT true
#else
#define ALL_LEFT EVERY(UNUSED)
#endif
#ifdef LATE_CLOCK                       /* the idle clock is armed by the first connection instead of at once */
#define CLOCK_RUNS visited
#else
#define CLOCK_RUNS true
#endif
/* KILL_DISCARDED: when a generation is given up, its workers are killed; they may have accepted somebody. KILL_UNHEARD:
 * a worker that was retired before its Template could say that it is forked is killed when the Template says so. The
 * others are not the Master's mistakes.
 */
#ifdef DEAF_LOOKOUT                     /* the Lookout heeds those that come, and does not look who is there already */
#define SEEN newcomer
#else
#define SEEN (backlog > 0)
#endif
#ifdef CLOSE_SILENT                     /* a worker that is asked to stop accepting closes what has asked for nothing */
#define CLOSES_SILENT true
#else
#define CLOSES_SILENT false
#endif

/* ### Names */
mtype:state = { ASLEEP, WATCHING, WAKING, AWAKE, DOZING, QUIESCING, FAILED, DRAINING };
mtype:event = { CONNECTION, READY, BROKEN, SUCCESSOR_READY, SUCCESSOR_BROKEN, TEMPLATE_LOST, WENT_DOZY, WENT_IDLE,
    STIRRED, DOZE_PROVEN, SLEEP_PROVEN, RETRY, RELOAD, TERMINATE, DRAINED };
mtype:verb = { Do_NOTHING, Do_WAKE, Do_SERVE, Do_QUIESCE, Do_QUIESCE_TO_DOZE, Do_RESUME, Do_RESUME_AND_RELOAD, Do_DOZE,
    Do_ROUSE, Do_SLEEP, Do_BLOW, Do_REFUSE, Do_DEFER, Do_RECOVER, Do_GIVE_UP, Do_RELOAD, Do_POSTPONE, Do_CONFIRM,
    Do_SUCCEED, Do_DISCARD, Do_WATCH, Do_DRAIN, Do_LEAVE };
mtype:report = { Quiesce, Resume, Stop, Accepting, Quiesced, Stirred, Visitor, Welcomed };
mtype:record = { FREE, BOOTING, ACCEPTING, RETIRING, LEAVING };             /* a worker, in the Master's books */
mtype:life = { UNBORN, BORN, ALIVE, DEAD };                                /* its process */
mtype:template = { VACANT, IMPORTING, LOADED, STILLBORN, DIED, LOST };      /* died while it imported; later; buried */

/* ### Connections
 * Nobody tells them apart, so they are counted: those that will come, those in the backlog, those that somebody has
 * accepted. Of these some will say what they want, sooner or later, and some will say nothing until they are closed;
 * which it is, nobody can see. `busy`: the app runs for one, and for long. Place FUSE is the Master's, when it answers
 * 503 itself.
 */
byte outside = CONNECTIONS, backlog;
byte asking[SLOTS + 1], silent[SLOTS + 1];
bool busy[SLOTS];
#define FUSE SLOTS
#define OPEN(p) (asking[p] + silent[p])
#define OCCUPIED(w) (OPEN(w) + busy[w])

/* ### The lobby
 * Whom the Master has accepted to look at him: `unheard` as long as he has said nothing, `wanting` when he is no probe
 * and waits for the app. Then he is sent to a worker, and `handed` until it has welcomed him; so long the Master keeps a
 * copy.
 */
#ifdef WITH_LOBBY
byte unheard, wanting;
bool handed[SLOTS], spoken;
#define HANDED(w) handed[w]
#define LOBBY (unheard + wanting + SUM(HANDED))
#define SPOKEN spoken
#else
#define LOBBY 0
#define SPOKEN false
#endif
#define LETS_IN (SCREENING && (state == WATCHING || state == DOZING) || PAGING && state == WAKING)

/* ### Workers */
mtype:life life[SLOTS] = UNBORN;
bool accepting[SLOTS];
byte number[SLOTS];                     /* the quiesce under way, 0 for none */
byte moves[SLOTS];                      /* accepted + answered, as far as it matters: see move() */
chan to_worker[SLOTS] = [6] of { mtype:report, byte };
chan to_master[SLOTS] = [6] of { mtype:report, byte, byte };
#define LIVES(w) (life[w] == BORN || life[w] == ALIVE)
#define AT_HAND(w) (life[w] == ALIVE && !busy[w])       /* its loop runs; app code runs in the loop */

/* ### The Master */
bool running;
mtype:state state = ASLEEP;
mtype:record record[SLOTS] = FREE;
byte generation[SLOTS];                 /* of each worker */
mtype:template template[GENERATIONS] = VACANT;
bool trouble[GENERATIONS];              /* given up */
byte current = NONE_YET, successor = NONE_YET;
bool reload_due;
byte last, proof;                       /* number of the last quiesce; of the one under way, 0 for none */
bool to_doze, moved;
bool waiting[SLOTS];                    /* for this worker's answer */
byte baseline[SLOTS];                   /* its moves when the quiesce was decided */
chan queue = [8] of { mtype:event };
bool turning;                           /* dead Templates are buried, the others are still to be heard */

#define UNUSED(w) (record[w] == FREE)
#define AVAILABLE(w) (record[w] == FREE && life[w] == UNBORN)
#define CALM(w) (record[w] == FREE || record[w] == ACCEPTING)
#define WAITED_FOR(w) waiting[w]
#define ORDERED(w) (running && record[w] != FREE && life[w] == UNBORN && template[generation[w]] == LOADED)
#define SPEAKS(w) (record[w] != FREE && (len(to_master[w]) > 0 || life[w] == DEAD))
#define OF(w, g) (record[w] != FREE && generation[w] == g)
#define STAYS(w, g) ((record[w] == BOOTING || record[w] == ACCEPTING) && generation[w] == g)
#define ACCEPTS(w, g) (record[w] == ACCEPTING && generation[w] == g)
#define NO_PROCESS(w) (life[w] == UNBORN)
#define IMPORTS(g) (template[g] == IMPORTING || template[g] == STILLBORN)
#define FELL(g) (template[g] == STILLBORN || template[g] == DIED)
#define DOOMED(w) (doomed[w] && LIVES(w))
#define SETTLED (successor == NONE_YET && EVERY(CALM) && NO_TEMPLATE(IMPORTS))

/* ### What is left to come, and what is watched */
byte misfortunes = MISFORTUNES, longs = LONGS, dozes = DOZES;
bool haste = HASTE;
bool accepted_since;                    /* somebody was accepted after the quiesce was decided */
#ifdef DEAF_LOOKOUT
bool newcomer;
#endif
#ifdef LATE_CLOCK
bool visited;
#endif
#if defined(KILL_DISCARDED) || defined(KILL_UNHEARD)
bool doomed[SLOTS];
#endif

/* ### The promises
 * Answered: whoever is accepted is answered, unless a process dies that he depends on.
 * Seen: whoever waits in a backlog is seen by somebody who will do something about it.
 * Prompt: nobody waits for the silence, or for the long request, of somebody else.
 * Idle: when the app is put to sleep, nobody was accepted since it was found idle, and nobody waits.
 * Asleep: in the end it sleeps; nothing is stuck, nothing is left over.
 */
mtype:promise = { Answered, Seen, Prompt, Idle, Asleep };

mtype:promise broken;

inline keep(promise, condition) {
    if
    :: condition
    :: else -> broken = promise; printf("BROKEN: %e\n", broken); assert(!broken)
    fi
}

/* ### A worker
 * As the gate in backends/base.py: one process a slot.
 */

/* The counts are compared with those of the decision, so what was counted before makes no difference, and counting it
 * would only tell apart what is alike. Unless an older answer is on its way, with the counts of its time. */
inline move(w) {
    if
    :: proof || len(to_master[w]) > 0 -> moves[w]++
    :: else
    fi
}

/* At the end of each turn of its loop: quiet? */
inline settle(w) {
    if
    :: number[w] && OCCUPIED(w) == 0 && running ->
        printf("worker %d is quiet (%d)\n", w, number[w]);
        to_master[w] ! Quiesced, number[w], moves[w]
    :: number[w] && OCCUPIED(w) == 0 && !running -> erase(w)
    :: else
    fi
}

/* Its process ends, and takes along what it had. */
inline perish(w) {
    printf("worker %d ends\n", w);
    asking[w] = 0; silent[w] = 0; busy[w] = 0; accepting[w] = 0; number[w] = 0; moves[w] = 0;
#ifdef WITH_LOBBY
    do
    :: to_worker[w] ?? [Visitor, _] -> to_worker[w] ?? Visitor, _; keep(Answered, handed[w])
    :: else -> break
    od;
#endif
    do :: len(to_worker[w]) > 0 -> to_worker[w] ? _, _ :: else -> break od;
    life[w] = DEAD
}

/* Nothing is left of it, neither process nor record. Whom it was sent and had not welcomed waits again. */
inline erase(w) {
#ifdef WITH_LOBBY
    if
    :: handed[w] -> handed[w] = 0; wanting++
    :: else
    fi;
#endif
    asking[w] = 0; silent[w] = 0; busy[w] = 0; accepting[w] = 0; number[w] = 0; moves[w] = 0;
    do :: len(to_worker[w]) > 0 -> to_worker[w] ? _, _ :: else -> break od;
    do :: len(to_master[w]) > 0 -> to_master[w] ? _, _, _ :: else -> break od;
    life[w] = UNBORN; record[w] = FREE; generation[w] = 0; waiting[w] = 0; baseline[w] = 0
}

#define me _pid
active [SLOTS] proctype Worker() {
    mtype:report said; byte n;
end:
    do
    :: d_step { life[me] == BORN ->
        life[me] = ALIVE; accepting[me] = true;
        if
        :: running -> to_master[me] ! Accepting, 0, 0
        :: else
        fi
       }
    :: atomic { AT_HAND(me) && accepting[me] && backlog ->
        backlog--;
        if
        :: asking[me]++
        :: silent[me]++
        fi;
#ifdef LATE_CLOCK
        visited = true;
#endif
        d_step { printf("worker %d accepts\n", me); move(me); accepted_since = (proof != 0) }
       }
    :: d_step { AT_HAND(me) && asking[me] ->
        printf("worker %d answers\n", me);
        asking[me]--; move(me); settle(me)
       }
    :: d_step { AT_HAND(me) && asking[me] && longs ->
        printf("worker %d is busy\n", me);
        longs--; asking[me]--; busy[me] = true
       }
    :: d_step { AT_HAND(me) && len(to_worker[me]) > 0 ->
        to_worker[me] ? said, n;
        printf("worker %d reads %e %d\n", me, said, n);
        if
        :: said == Quiesce ->
            number[me] = n; accepting[me] = false;
            if
            :: CLOSES_SILENT -> keep(Answered, OPEN(me) == 0)
            :: else
            fi;
            if
            :: n != FINAL && OCCUPIED(me) -> to_master[me] ! Stirred, n, 0
            :: else
            fi;
            settle(me)
#ifdef WITH_LOBBY
        :: said == Visitor -> asking[me]++; move(me); accepted_since = (proof != 0); to_master[me] ! Welcomed, 0, 0
#endif
        :: said == Resume && n == number[me] -> number[me] = 0; accepting[me] = true
        :: said == Resume && n != number[me]
        :: said == Stop -> keep(Answered, OCCUPIED(me) == 0); perish(me)
        fi;
        said = 0; n = 0
       }
    /* the end of the channel: the Master is gone, and there is no way back */
    :: d_step { AT_HAND(me) && !running && number[me] != FINAL ->
        accepting[me] = false; number[me] = FINAL; settle(me)
       }
    od
}
#undef me

/* ### The Master's verbs
 * As the methods of the Master (processes/master.py) and of the crew. In all of them `w` and `g` are used to count.
 */
/* Nobody is two quiesces behind when the next one is decided: `idle` is long, and a worker that does not answer for ten
 * seconds is killed. So three numbers are as good as ever new ones. */
#define UP_TO_DATE(w) (len(to_worker[w]) <= 2 && len(to_master[w]) <= 1)
#define NO_MAIL(w) (len(to_worker[w]) == 0 && len(to_master[w]) == 0)

inline post(e) { queue ! e }

inline tell(w, what, n) {
    if
    :: life[w] != DEAD -> to_worker[w] ! what, n
    :: else
    fi
}

/* A worker that has nothing to read, nothing unheard and nothing open leaves at once: nothing could come between. */
inline dismiss(w) {
    if
    :: life[w] == ALIVE && !accepting[w] && OCCUPIED(w) == 0 && NO_MAIL(w) -> erase(w)
    :: else -> record[w] = LEAVING; tell(w, Stop, 0)
    fi
}

inline retire(w) {
    if
    :: record[w] == BOOTING || record[w] == ACCEPTING ->
        record[w] = RETIRING; tell(w, Quiesce, FINAL)
    :: else
    fi
}

inline begin(g) {
    g = 0;
    do
    :: template[g] != VACANT || g == current || g == successor || COUNT(OF, g) -> g++
    :: else -> break
    od;
    template[g] = IMPORTING; trouble[g] = false
}

inline kill_template(g) {
    if
    :: template[g] == IMPORTING -> template[g] = STILLBORN
    :: template[g] == LOADED -> template[g] = DIED
    :: else
    fi
}

/* A generation that is given up: its Template is killed. Its workers may have accepted somebody, so they retire. */
inline discard(g) {
    for (w : 0 .. SLOTS - 1) {
        if
        :: OF(w, g) ->
#ifdef KILL_DISCARDED
            doomed[w] = true
#else
            retire(w)
#endif
        :: else
        fi
    }
    kill_template(g)
}

/* A Template that may leave leaves at once; a worker that was asked for and is not forked will never be. */
inline release(g) {
    for (w : 0 .. SLOTS - 1) {
        if
        :: OF(w, g) && life[w] == UNBORN -> erase(w)
        :: else
        fi
    }
    if
    :: template[g] != VACANT -> template[g] = LOST
    :: else
    fi
}

inline give_up(g) {
    if
    :: !trouble[g] && g == current -> trouble[g] = true; post(BROKEN)
    :: !trouble[g] && g == successor -> trouble[g] = true; post(SUCCESSOR_BROKEN)
    :: else
    fi
}

inline ask() {
    if
    :: EVERY(NO_MAIL) -> proof = 1
    :: else -> proof = last % NUMBERS + 1
    fi;
    last = proof; moved = false; accepted_since = false;
    for (w : 0 .. SLOTS - 1) {
        if
        :: current != NONE_YET && ACCEPTS(w, current) ->
            if
            :: len(to_master[w]) == 0 -> moves[w] = 0
            :: else
            fi;
            waiting[w] = true; baseline[w] = moves[w];
            tell(w, Quiesce, proof)
        :: else
        fi
    }
}

inline drop_proof() {
    proof = 0; moved = false; to_doze = false; accepted_since = false;
    for (w : 0 .. SLOTS - 1) {
        waiting[w] = false; baseline[w] = 0;
        if
        :: len(to_master[w]) == 0 -> moves[w] = 0
        :: else
        fi
    }
}

inline resume() {
    for (w : 0 .. SLOTS - 1) {
        if
        :: record[w] == ACCEPTING -> tell(w, Resume, proof)
        :: else
        fi
    }
    drop_proof()
}

inline dismiss_all() {
    for (w : 0 .. SLOTS - 1) {
        if
        :: record[w] != FREE && record[w] != LEAVING -> dismiss(w)
        :: else
        fi
    }
}

inline depart() {
    dismiss_all();
    for (g : 0 .. GENERATIONS - 1) { release(g) }
}

inline reload() {
    if
    :: successor != NONE_YET -> reload_due = true
    :: else -> reload_due = false; begin(g); successor = g
    fi
}

/* ### Rows are alike
 * It makes no difference which worker sits in which slot. With -DSORTED they are put in order after each step of the
 * Master, so that what differs by that alone is looked at once: half the work. In the stories of the mutations
 * each keeps its place, or they could not be read.
 */
#ifdef SORTED
chan aside = [5] of { mtype:report, byte, byte };
#define RANK(w) (record[w] + 8 * generation[w] + 32 * life[w] + 128 * accepting[w] + 256 * number[w] \
    + 2048 * asking[w] + 8192 * silent[w] + 32768 * busy[w] + 65536 * waiting[w] + 131072 * len(to_worker[w]) \
    + 1048576 * len(to_master[w]) + 8388608 * moves[w] + RANK_OF_VISITOR(w))
#ifdef WITH_LOBBY
#define RANK_OF_VISITOR(w) (268435456 * handed[w])
#else
#define RANK_OF_VISITOR(w) 0
#endif
#define SWAP(of) n = of[w]; of[w] = of[w + 1]; of[w + 1] = n

inline swap() {
    book = record[w]; record[w] = record[w + 1]; record[w + 1] = book;
    alive = life[w]; life[w] = life[w + 1]; life[w + 1] = alive;
    SWAP(generation); SWAP(accepting); SWAP(number); SWAP(moves); SWAP(waiting); SWAP(baseline);
    SWAP(asking); SWAP(silent); SWAP(busy);
#ifdef WITH_LOBBY
    SWAP(handed);
#endif
    do :: len(to_worker[w]) > 0 -> to_worker[w] ? said, n; aside ! said, n, 0 :: else -> break od;
    do :: len(to_worker[w + 1]) > 0 -> to_worker[w + 1] ? said, n; to_worker[w] ! said, n :: else -> break od;
    do :: len(aside) > 0 -> aside ? said, n, _; to_worker[w + 1] ! said, n :: else -> break od;
    do :: len(to_master[w]) > 0 -> to_master[w] ? said, n, c; aside ! said, n, c :: else -> break od;
    do :: len(to_master[w + 1]) > 0 -> to_master[w + 1] ? said, n, c; to_master[w] ! said, n, c :: else -> break od;
    do :: len(aside) > 0 -> aside ? said, n, c; to_master[w + 1] ! said, n, c :: else -> break od;
    book = 0; alive = 0; said = 0; n = 0; c = 0
}

inline sort() {
    for (i : 1 .. SLOTS - 1) {
        for (w : 0 .. SLOTS - 2) {
            if
            :: RANK(w) < RANK(w + 1) -> swap()
            :: else
            fi
        }
    }
    i = 0; w = 0; g = 0
}
#else
inline sort() { w = 0; g = 0 }
#endif

inline perform() {
    if
    :: verb == Do_NOTHING || verb == Do_SERVE || verb == Do_RECOVER || verb == Do_ROUSE || verb == Do_CONFIRM
    :: verb == Do_WAKE && current != NONE_YET -> reload_due = true
    :: verb == Do_WAKE && current == NONE_YET -> begin(g); current = g
    :: verb == Do_QUIESCE -> ask()
    :: verb == Do_QUIESCE_TO_DOZE -> to_doze = true; ask()
    :: verb == Do_RESUME || verb == Do_RESUME_AND_RELOAD ->
        resume();
        if
        :: verb == Do_RESUME_AND_RELOAD -> reload()
        :: else
        fi
    :: verb == Do_DOZE || verb == Do_SLEEP ->
#ifndef LOSSES_ONLY                     /* to see which mistakes would cost a connection besides */
        keep(Idle, !accepted_since && backlog == 0);
#endif
        drop_proof();
        if
        :: verb == Do_DOZE -> dismiss_all()
        :: else -> depart()
        fi
    :: verb == Do_BLOW || verb == Do_DEFER ->
        reload_due = false;
        for (g : 0 .. GENERATIONS - 1) {
            if
            :: g == current || g == successor -> discard(g)
            :: else
            fi
        }
        current = NONE_YET; successor = NONE_YET
    :: verb == Do_REFUSE -> refuses = true
    :: verb == Do_GIVE_UP || verb == Do_LEAVE -> depart()
    :: verb == Do_RELOAD -> reload()
    :: verb == Do_POSTPONE -> reload_due = true
    :: verb == Do_SUCCEED && successor == NONE_YET
    :: verb == Do_SUCCEED && successor != NONE_YET ->
        g = current; current = successor; successor = NONE_YET;
        for (w : 0 .. SLOTS - 1) {
            if
            :: OF(w, g) -> retire(w)
            :: else
            fi
        }
        release(g)
    :: verb == Do_DISCARD ->
        if
        :: successor != NONE_YET -> discard(successor); successor = NONE_YET
        :: else
        fi;
        if
        :: current == NONE_YET -> post(BROKEN)
        :: current != NONE_YET && template[current] == LOST && COUNT(OF, current) == 0 -> post(BROKEN)
        :: current != NONE_YET && template[current] == LOST && COUNT(OF, current) -> reload_due = true
        :: else
        fi
    :: verb == Do_WATCH -> current = NONE_YET
    :: verb == Do_DRAIN ->
        drop_proof();
        for (g : 0 .. GENERATIONS - 1) {
            if
            :: template[g] == IMPORTING -> kill_template(g)
            :: else
            fi
        }
        for (w : 0 .. SLOTS - 1) { retire(w) }
    fi
}

/* ### The table
 * That of words/states.py; what is not here changes nothing. tests/unit/test_proof.py compares the two.
 */
#define ROW(here, what, there, verb_) :: state == here && event == what -> state = there; verb = Do_##verb_

inline step() {
    do
    :: len(queue) > 0 ->
        queue ? event;
        printf("Master: %e in %e", event, state);
        verb = Do_NOTHING;
        if
        ROW(WATCHING,  CONNECTION,       WAKING,    WAKE)
        ROW(WATCHING,  WENT_IDLE,        ASLEEP,    SLEEP)
        ROW(WATCHING,  RELOAD,           WATCHING,  CONFIRM)
        ROW(WATCHING,  TERMINATE,        DRAINING,  DRAIN)
        ROW(WAKING,    READY,            AWAKE,     SERVE)
        ROW(WAKING,    BROKEN,           FAILED,    BLOW)
        ROW(WAKING,    TEMPLATE_LOST,    FAILED,    BLOW)
        ROW(WAKING,    RELOAD,           WAKING,    POSTPONE)
        ROW(WAKING,    TERMINATE,        DRAINING,  DRAIN)
        ROW(AWAKE,     BROKEN,           FAILED,    BLOW)
        ROW(AWAKE,     SUCCESSOR_READY,  AWAKE,     SUCCEED)
        ROW(AWAKE,     SUCCESSOR_BROKEN, AWAKE,     DISCARD)
        ROW(AWAKE,     TEMPLATE_LOST,    AWAKE,     RELOAD)
        ROW(AWAKE,     WENT_DOZY,        QUIESCING, QUIESCE_TO_DOZE)
        ROW(AWAKE,     WENT_IDLE,        QUIESCING, QUIESCE)
        ROW(AWAKE,     RELOAD,           AWAKE,     RELOAD)
        ROW(AWAKE,     TERMINATE,        DRAINING,  DRAIN)
        ROW(DOZING,    CONNECTION,       AWAKE,     ROUSE)
        ROW(DOZING,    TEMPLATE_LOST,    WATCHING,  WATCH)
        ROW(DOZING,    WENT_IDLE,        QUIESCING, QUIESCE)
        ROW(DOZING,    RELOAD,           AWAKE,     RELOAD)
        ROW(DOZING,    TERMINATE,        DRAINING,  DRAIN)
        ROW(QUIESCING, CONNECTION,       AWAKE,     RESUME)
        ROW(QUIESCING, STIRRED,          AWAKE,     RESUME)
        ROW(QUIESCING, TEMPLATE_LOST,    AWAKE,     RESUME_AND_RELOAD)
        ROW(QUIESCING, DOZE_PROVEN,      DOZING,    DOZE)
        ROW(QUIESCING, SLEEP_PROVEN,     ASLEEP,    SLEEP)
        ROW(QUIESCING, RELOAD,           AWAKE,     RESUME_AND_RELOAD)
        ROW(QUIESCING, TERMINATE,        DRAINING,  DRAIN)
        ROW(FAILED,    CONNECTION,       FAILED,    REFUSE)
        ROW(FAILED,    READY,            AWAKE,     RECOVER)
        ROW(FAILED,    BROKEN,           FAILED,    DEFER)
        ROW(FAILED,    TEMPLATE_LOST,    FAILED,    DEFER)
        ROW(FAILED,    WENT_IDLE,        ASLEEP,    GIVE_UP)
        ROW(FAILED,    RETRY,            FAILED,    WAKE)
        ROW(FAILED,    RELOAD,           FAILED,    WAKE)
        ROW(FAILED,    TERMINATE,        DRAINING,  DRAIN)
        ROW(DRAINING,  DRAINED,          ASLEEP,    LEAVE)
        :: else
        fi;
        printf(" -> %e, %e\n", state, verb);
        perform()
    :: else -> break
    od;
    event = 0; verb = 0;
    for (g : 0 .. GENERATIONS - 1) {    /* of which nothing is left */
        if
        :: template[g] == LOST && g != current && g != successor && COUNT(OF, g) == 0 ->
            template[g] = VACANT; trouble[g] = false
        :: else
        fi
    }
    if
    :: !proof && EVERY(NO_MAIL) -> last = 0
    :: else
    fi;
    sort()
}

/* ### What the Master hears */

inline hear_worker(w) {
    do
    :: len(to_master[w]) > 0 ->
        to_master[w] ? said, n, c;
        printf("Master hears %e %d of worker %d\n", said, n, w);
        if
        :: said == Accepting ->
            if
            :: record[w] == BOOTING -> record[w] = ACCEPTING
            :: else
            fi;
            if
            :: BELIEVED(generation[w]) && generation[w] == successor && COUNT(ACCEPTS, successor) >= WORKERS ->
                post(SUCCESSOR_READY)
            :: BELIEVED(generation[w]) && generation[w] == current -> post(READY)
            :: else
            fi
        :: said == Quiesced ->
            if
            :: record[w] == RETIRING && ANSWERS_LAST(n) -> dismiss(w)
            :: record[w] != RETIRING && proof && waiting[w] && ANSWERS(n) ->
                waiting[w] = false; moved = moved || c != baseline[w]
            :: else
            fi
#ifdef WITH_LOBBY
        :: said == Welcomed -> handed[w] = false
#endif
        :: said == Stirred ->
            if
            :: HEEDS_STIRRED && proof && n == proof -> post(STIRRED)
            :: else
            fi
        fi
    :: else -> break
    od;
    said = 0; n = 0; c = 0
}

/* What its workers have said is heard before: one that accepts serves on. */
inline bury_template(t) {
    for (w : 0 .. SLOTS - 1) {
        if
        :: OF(w, t) -> hear_worker(w)
        :: else
        fi
    }
    printf("Master: the Template of generation %d is dead\n", t);
    if
    :: template[t] == DIED && t == current && !trouble[t] -> trouble[t] = true; post(TEMPLATE_LOST)
    :: else -> give_up(t)
    fi;
    template[t] = LOST;
    for (w : 0 .. SLOTS - 1) {
        if
        :: OF(w, t) && life[w] == UNBORN ->
            if
            :: proof && record[w] == BOOTING -> post(STIRRED)
            :: else
            fi;
            erase(w)
        :: else
        fi
    }
}

/* `hopeless`: it died before it could accept, and no other of its generation does; the app may count as broken. */
inline bury_worker(w) {
    printf("Master: worker %d is dead\n", w);
    g = generation[w];
    hopeless = (record[w] == BOOTING && COUNT(ACCEPTS, g) == 0 && template[g] == LOADED && !trouble[g]);
    if
    :: proof && (record[w] == BOOTING || record[w] == ACCEPTING) -> post(STIRRED)
    :: else
    fi;
    erase(w);
    if
    :: g == current && template[g] == LOST && COUNT(OF, g) == 0 -> post(TEMPLATE_LOST)
    :: else
    fi
}

/* ### The Master's loop
 * A turn is one step: all who have something to say are heard, in the order of the code, and then the table is asked.
 * Nothing is left out by that. Messages wait in their channels, so whether somebody acts during a turn or after it is
 * the same to everybody; and a worker reads one message a turn, so what was sent in one need not arrive together. Where
 * it is not the same there are more steps: a worker may be heard twice, with its dead Template and for itself, and say
 * more in between; and SIGKILL does not wait.
 */
#define LISTENING ((state == WATCHING || state == DOZING) && !SCREENING || state == FAILED || state == QUIESCING && LISTENS_IN_QUIESCE)
#define NEWS (turning || ANY(SPEAKS) || LISTENING && backlog || SPOKEN)
#define CALLED (misfortunes && state != ASLEEP)

#define WANTED(g) (FORKS_ALL_IN(state) || g == successor -> WORKERS : 1)
#define LACKS(g) (g != NONE_YET && template[g] == LOADED && !trouble[g] && COUNT(STAYS, g) < WANTED(g))

#define ALL_SILENT (SUM(OCCUPIED) == 0 && FUSE_SILENT && LOBBY_EMPTY)
#define IN_TIME ((haste || !backlog) && EVERY(UP_TO_DATE))
#define SERVED (current != NONE_YET && COUNT(ACCEPTS, current))
#define IDLE (CLOCK_RUNS && ALL_SILENT && IN_TIME && (state == AWAKE && MAY_ASK && SERVED || state == DOZING))
#define NOTHING_LEFT (current == NONE_YET && OPEN(FUSE) == 0 && ALL_LEFT && !backlog && LOBBY_EMPTY)
#define GOES (state == WATCHING && !backlog && LOBBY_EMPTY || state == FAILED && NOTHING_LEFT)
#define RELOADS (state == AWAKE && reload_due && successor == NONE_YET)
#define MAKES_DO (successor != NONE_YET && BELIEVED(successor) && COUNT(ACCEPTS, successor) && COUNT(ACCEPTS, successor) < WORKERS)
#define RETRIES (state == FAILED && current == NONE_YET)
#define IS_DRAINED (state == DRAINING && EVERY(UNUSED) && OPEN(FUSE) == 0 && LOBBY_EMPTY)
#define STIRS (COUNTS_MOVED || LOOKS && ANY(WAITED_FOR) && SUM(OCCUPIED))
#define VERDICT (state == QUIESCING && (STIRS || ALL_ANSWERED))

#ifdef WITH_LOBBY
#define WILL_DO(w) (PAGING -> ACCEPTS(w, current) : STAYS(w, current))      /* on his way to a worker he sees no page */
#define MAY_TAKE(w) (running && !turning && wanting && current != NONE_YET && WILL_DO(w) && !handed[w] && !busy[w])

inline hand(w) {
    printf("Master sends a visitor to worker %d\n", w);
    wanting--; handed[w] = KEEPS_COPY; tell(w, Visitor, 0)
}
#endif

inline close_books() {
#ifdef WITH_LOBBY
    unheard = 0; wanting = 0; spoken = false;
    for (w : 0 .. SLOTS - 1) { handed[w] = false }
#endif
    do :: len(queue) > 0 -> queue ? _ :: else -> break od;
    turning = false;
#ifdef LATE_CLOCK
    visited = false;
#endif
    running = false; state = ASLEEP; current = NONE_YET; successor = NONE_YET; reload_due = false; last = 0;
    for (g : 0 .. GENERATIONS - 1) { template[g] = VACANT; trouble[g] = false }
}

active proctype Master() {
    mtype:report said; mtype:event event, called; mtype:verb verb; byte n, c, w, g, i; bool hopeless, refuses;
#ifdef SORTED
    mtype:record book; mtype:life alive;
#endif
end:
    do
    /* somebody speaks, or a signal comes */
    :: d_step { running && !NO_TEMPLATE(FELL) && !turning ->
        for (g : 0 .. GENERATIONS - 1) {
            if
            :: FELL(g) -> bury_template(g)
            :: else
            fi
        }
        w = 0; g = 0; turning = true
       }
    :: atomic { running && (NEWS || CALLED) ->
        if
        :: NEWS
        :: CALLED -> misfortunes--; called = TERMINATE
        :: CALLED -> misfortunes--; called = RELOAD
        fi;
        d_step {
            turning = false;
            for (i : 0 .. SLOTS - 1) {
                if
                :: SPEAKS(i) -> hear_worker(i);
                    if
                    :: life[i] == DEAD -> bury_worker(i)
                    :: else
                    fi
                :: else
                fi
            }
            i = 0; w = 0
        };
        if
        :: hopeless -> d_step { give_up(g) }    /* it said why, or it was the third in a row */
        :: true
        fi;
        d_step {
            hopeless = false; g = 0;
            if
            :: called -> post(called); called = 0
            :: else
            fi;
            if
            :: LISTENING && backlog || SPOKEN -> post(CONNECTION)
            :: else
            fi;
#ifdef WITH_LOBBY
            spoken = false;
#endif
            step()
        };
        do
        :: refuses && backlog -> backlog--;
            if
            :: asking[FUSE]++
            :: silent[FUSE]++
            fi
        :: refuses && !backlog -> refuses = false
        :: !refuses -> break
        od
       }
    /* a deadline is reached, or a quiesce comes to an end */
    :: atomic { running && !turning && (GOES || IDLE || RELOADS || MAKES_DO || RETRIES || IS_DRAINED || VERDICT) ->
        if
        :: GOES -> post(WENT_IDLE)
        :: IDLE -> haste = haste && !backlog; post(WENT_IDLE)
        :: IDLE && state == AWAKE && dozes -> haste = haste && !backlog; dozes--; post(WENT_DOZY)
        :: RELOADS -> post(RELOAD)
        :: MAKES_DO -> post(SUCCESSOR_READY)    /* others die as they boot, again and again */
        :: RETRIES -> post(RETRY)
        :: IS_DRAINED -> post(DRAINED)
        :: VERDICT && STIRS -> post(STIRRED)
        :: VERDICT && !STIRS && SOMEBODY_WAITS -> post(CONNECTION)
        :: VERDICT && !STIRS && !SOMEBODY_WAITS && to_doze -> post(DOZE_PROVEN)
        :: VERDICT && !STIRS && !SOMEBODY_WAITS && !to_doze -> post(SLEEP_PROVEN)
        fi;
        d_step { step() }
       }
    /* workers are missing: they are asked for, at once or after a pause */
    :: d_step { running && !turning && FORKS_IN(state) && ANY(AVAILABLE) && (LACKS(current) || LACKS(successor)) ->
        if
        :: LACKS(current) -> g = current
        :: else -> g = successor
        fi;
        do
        :: ANY(AVAILABLE) && LACKS(g) ->
            w = 0;
            do
            :: !AVAILABLE(w) -> w++
            :: else -> break
            od;
            record[w] = BOOTING; generation[w] = g
        :: else -> break
        od;
        sort()
       }
#ifdef WITH_LOBBY
    /* it accepts, and looks; who is a probe is answered, who is not wants the app */
    :: d_step { running && !turning && LETS_IN && backlog -> printf("Master accepts\n"); backlog--; unheard++ }
    :: d_step { running && !turning && unheard -> printf("Master answers a probe\n"); unheard-- }
    :: d_step { running && !turning && unheard -> printf("Master has a visitor\n"); unheard--; wanting++; spoken = true }
    :: d_step { running && !turning && PAGING && state == WAKING && wanting -> printf("Master shows the page\n"); wanting-- }
    :: d_step { MAY_TAKE(0) -> hand(0) }
    :: d_step { MAY_TAKE(1) -> hand(1) }
    :: d_step { MAY_TAKE(2) -> hand(2) }
    :: d_step { MAY_TAKE(3) -> hand(3) }
    /* no worker will come: the fuse has whoever is there */
    :: d_step { running && !turning && (state == FAILED || state == DRAINING) && unheard + wanting ->
        asking[FUSE] = asking[FUSE] + wanting; silent[FUSE] = silent[FUSE] + unheard; wanting = 0; unheard = 0
       }
#endif
    /* the fuse answers 503 */
    :: d_step { running && asking[FUSE] -> asking[FUSE]-- }
#if defined(KILL_DISCARDED) || defined(KILL_UNHEARD)
    :: d_step { running && ANY(DOOMED) ->
        w = 0;
        do
        :: !DOOMED(w) -> w++
        :: else -> break
        od;
        doomed[w] = false; keep(Answered, OCCUPIED(w) == 0); perish(w);
        w = 0
       }
#endif
    /* all have left: exit */
    :: d_step { running && !turning && state == ASLEEP && EVERY(UNUSED) ->
        keep(Answered, OPEN(FUSE) == 0 && LOBBY == 0);
        printf("Master: exit\n");
        close_books(); g = 0
       }
    od
}

/* ### Templates
 * All of them in one process. A fork and its report are one step.
 */
inline fork(w) {
    printf("a Template forks worker %d\n", w);
    life[w] = BORN;
#ifdef KILL_UNHEARD
    doomed[w] = (record[w] == RETIRING);
#endif
    skip
}

active proctype Template() {
end:
    do
    :: d_step { template[0] == IMPORTING -> template[0] = LOADED }
#if GENERATIONS > 1
    :: d_step { template[1] == IMPORTING -> template[1] = LOADED }
#endif
#if GENERATIONS > 2
    :: d_step { template[2] == IMPORTING -> template[2] = LOADED }
#endif
    :: d_step { ORDERED(0) -> fork(0) }
    :: d_step { ORDERED(1) -> fork(1) }
    :: d_step { ORDERED(2) -> fork(2) }
    :: d_step { ORDERED(3) -> fork(3) }
    od
}

/* ### Death
 * Takes whom it likes: a worker that serves or has not come so far, a Template that imports or has imported, the
 * Master. With a worker goes whoever it had accepted, with the Master whoever its fuse had. The Master's Templates then
 * leave, and its workers finish and leave.
 */
#define MORTAL(w) (misfortunes && running && LIVES(w))
#define FRAGILE(g) (misfortunes && (template[g] == IMPORTING || template[g] == LOADED))

inline strike(g) {
    printf("the Template of generation %d dies\n", g);
    misfortunes--;
    template[g] = (template[g] == IMPORTING -> STILLBORN : DIED)
}

active proctype Death() {
    byte g, w;
end:
    do
    :: d_step { MORTAL(0) -> misfortunes--; perish(0) }
    :: d_step { MORTAL(1) -> misfortunes--; perish(1) }
    :: d_step { MORTAL(2) -> misfortunes--; perish(2) }
    :: d_step { MORTAL(3) -> misfortunes--; perish(3) }
    :: d_step { FRAGILE(0) -> strike(0) }
#if GENERATIONS > 1
    :: d_step { FRAGILE(1) -> strike(1) }
#endif
#if GENERATIONS > 2
    :: d_step { FRAGILE(2) -> strike(2) }
#endif
    :: d_step { misfortunes && running ->
        printf("the Master dies\n");
        misfortunes--;
        close_books();
        proof = 0; moved = false; to_doze = false; accepted_since = false;
        asking[FUSE] = 0; silent[FUSE] = 0;
        for (w : 0 .. SLOTS - 1) {
            record[w] = FREE; generation[w] = 0; waiting[w] = false; baseline[w] = 0; moves[w] = 0;
            do :: len(to_worker[w]) > 0 -> to_worker[w] ? _, _ :: else -> break od;
            do :: len(to_master[w]) > 0 -> to_master[w] ? _, _, _ :: else -> break od;
            if
            :: life[w] == DEAD -> life[w] = UNBORN
            :: else
            fi
        }
        w = 0; g = 0
       }
    od
}

/* ### The Lookout
 * systemd, or ours. When there is no Master it waits for what the last one has left, or makes an end of that; then it
 * looks at the backlog.
 */
active proctype Lookout() {
    byte w;
end:
    do
    :: d_step { !running && EVERY(NO_PROCESS) && SEEN ->
        printf("the Lookout starts a Master\n");
#ifdef DEAF_LOOKOUT
        newcomer = false;
#endif
        running = true;
        if
        :: backlog && !SCREENING -> state = WAKING; current = 0; template[0] = IMPORTING
        :: else -> state = WATCHING
        fi
       }
    :: d_step { !running && !EVERY(NO_PROCESS) ->
        printf("the Lookout kills what is left\n");
        for (w : 0 .. SLOTS - 1) { erase(w) }
        w = 0
       }
    od
}

/* ### Clients */
active proctype Client() {
end:
    do
    :: d_step { outside ->
        printf("somebody connects\n");
        outside--; backlog++;
#ifdef DEAF_LOOKOUT
        newcomer = !running;
#endif
       }
    od
}

/* ### Patience
 * `timeout` is true when nothing else can happen. Only then does a silent connection come to its end, or a long
 * request: so whoever still waits then waits for that. Nobody may, but those who come while a Master that was told to
 * stop lets its workers finish.
 */
#define HOLDS_UP (OPEN(FUSE) + SUM(OCCUPIED) + LOBBY)
#ifdef WITH_LOBBY
#define LEFT_STANDING(w) (handed[w] && !busy[w])
#define NOBODY_WANTS (!wanting && !ANY(LEFT_STANDING))
#else
#define NOBODY_WANTS true
#endif
#define FINISHES (running && state == DRAINING)
#define HELD_UP(w) (asking[w] && !busy[w])

active proctype Patience() {
    do
    :: atomic { timeout && HOLDS_UP ->
        printf("time passes\n");
        keep(Prompt, (FINISHES || !backlog) && !ANY(HELD_UP) && !asking[FUSE] && NOBODY_WANTS);
        if
#ifdef WITH_LOBBY
        :: unheard -> unheard--
#endif
        :: silent[FUSE] -> silent[FUSE]--
        :: d_step { silent[0] && !busy[0] -> silent[0]--; settle(0) }
        :: d_step { silent[1] && !busy[1] -> silent[1]--; settle(1) }
        :: d_step { silent[2] && !busy[2] -> silent[2]--; settle(2) }
        :: d_step { silent[3] && !busy[3] -> silent[3]--; settle(3) }
        :: d_step { busy[0] -> busy[0] = 0; move(0); settle(0) }
        :: d_step { busy[1] -> busy[1] = 0; move(1); settle(1) }
        :: d_step { busy[2] -> busy[2] = 0; move(2); settle(2) }
        :: d_step { busy[3] -> busy[3] = 0; move(3); settle(3) }
        fi
       }
    :: atomic { timeout && !HOLDS_UP ->
        keep(Seen, !backlog);
        keep(Asleep, !running && EVERY(NO_PROCESS));
        break
       }
    od
}
