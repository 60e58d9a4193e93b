// SPDX-License-Identifier: Apache-2.0
// api/audience.h - who follows the log live with one and the same filter. An audience is one
// transient subscription, whose handler puts each event into a feed (net/http.h) that the streams
// of all its members follow. All of it is the HTTP loop's.
#ifndef SKI_API_AUDIENCE_H
#define SKI_API_AUDIENCE_H

#include "api/frames.h"
#include "net/http.h"

#include <skald/bus.h>

typedef struct ski_audiences ski_audiences;
typedef struct ski_audience ski_audience;

skald_err ski_audiences_new(skald_bus *bus, ski_frames *frames, ski_audiences **ret_audiences)
    SKALD_CHECK;
void ski_audiences_free(ski_audiences *audiences); // after every member has left
// ski_audience_join finds the audience of a filter, or makes it. Fails: as a subscription does.
skald_err ski_audience_join(ski_audiences *audiences, ski_http *http, const skald_filter *filter,
                            ski_audience **ret_audience, skald_error *reterr_error) SKALD_CHECK;
void ski_audience_leave(ski_audience *audience);
ski_http_feed *ski_audience_feed(const ski_audience *audience); // as long as one is a member
const skald_filter *ski_audience_filter(const ski_audience *audience);

#endif
