// SPDX-License-Identifier: Apache-2.0
// A gate counts who is inside, lets nobody in once it is shut, and is empty when the last has left,
// whoever comes and goes meanwhile.
#include "os/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void shut_lets_nobody_in(void **state)
{
    ski_gate gate;

    (void)state;
    ski_gate_init(&gate);
    assert_true(ski_gate_enter(&gate));
    assert_true(ski_gate_enter(&gate));
    ski_gate_leave(&gate);
    ski_gate_shut(&gate);
    assert_false(ski_gate_enter(&gate));
    assert_false(ski_gate_is_empty(&gate));
    ski_gate_leave(&gate);
    assert_true(ski_gate_is_empty(&gate));
    assert_false(ski_gate_enter(&gate));
    ski_gate_wait(&gate);
    ski_gate_shut(&gate); // again is nothing
    assert_true(ski_gate_is_empty(&gate));
    ski_gate_fini(&gate);
}

static void shut_while_nobody_is_inside(void **state)
{
    ski_gate gate;

    (void)state;
    ski_gate_init(&gate);
    ski_gate_shut(&gate);
    ski_gate_wait(&gate);
    assert_false(ski_gate_enter(&gate));
    ski_gate_fini(&gate);
}

// Many go in and out until they are not let in; when the wait is over nobody is inside.
typedef struct visitor {
    ski_gate *gate;
    atomic_uint_fast64_t *visits;
} visitor;

static void *visit(void *context)
{
    const visitor *of = context;

    while (ski_gate_enter(of->gate)) {
        atomic_fetch_add(of->visits, 1);
        ski_gate_leave(of->gate);
    }
    return NULL;
}

static void who_comes_and_goes_is_waited_for(void **state)
{
    enum { threads = 4, rounds = 50 };

    (void)state;
    for (int round = 0; round < rounds; round++) {
        ski_gate gate;
        pthread_t ids[threads];
        atomic_uint_fast64_t visits = 0;
        visitor of = {&gate, &visits};

        ski_gate_init(&gate);
        for (int i = 0; i < threads; i++)
            assert_int_equal(pthread_create(&ids[i], NULL, visit, &of), 0);
        while (atomic_load(&visits) < 100) {
        }
        ski_gate_shut(&gate);
        ski_gate_wait(&gate);
        uint64_t at_the_end = atomic_load(&visits);

        assert_false(ski_gate_enter(&gate));
        for (int i = 0; i < threads; i++) assert_int_equal(pthread_join(ids[i], NULL), 0);
        assert_int_equal(atomic_load(&visits), at_the_end);
        ski_gate_fini(&gate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shut_lets_nobody_in),
        cmocka_unit_test(shut_while_nobody_is_inside),
        cmocka_unit_test(who_comes_and_goes_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
