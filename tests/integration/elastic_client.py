"""What people do with the official Python client, whichever of its versions is found on the path.

    python elastic_client.py URL KEY INDEX

Writes into INDEX, reads it back in every way the client has, and prints what it found as JSON.
"""

import json
import sys
import warnings

import elasticsearch
from elasticsearch import helpers

DOCUMENTS = 250


def main(url, key, index):
    told = []
    warnings.showwarning = lambda message, *_: told.append(str(message))
    client = elasticsearch.Elasticsearch(url, api_key=key, http_compress=True)
    found = {"client": elasticsearch.__versionstr__, "info": client.info()["version"]["number"], "ping": client.ping()}

    day = f"{index}-2026.01.27"
    client.indices.put_index_template(name=index, index_patterns=[f"{index}-*"], template={"settings": {}})
    found["template"] = bool(client.indices.exists_index_template(name=index))
    found["before"] = bool(client.indices.exists(index=day))
    client.indices.create(index=day)
    actions = [
        {"_op_type": "create", "_index": day, "_id": f"id-{n}", "@timestamp": "2026-01-27T10:00:00Z", "message": "m", "n": n}
        for n in range(DOCUMENTS)
    ]
    found["written"] = helpers.bulk(client, actions, chunk_size=100, refresh="wait_for")[0]
    again = list(helpers.streaming_bulk(client, actions[:3], raise_on_error=False))
    found["again"] = [answer["create"]["status"] for _, answer in again]
    one = client.index(index=day, document={"message": "alone", "n": -1}, refresh=True)
    found["one"] = client.get(index=day, id=one["_id"])["_source"]["msg"]
    found["exists"] = [bool(client.exists(index=day, id="id-7")), bool(client.exists(index=day, id="id-no"))]
    found["mget"] = [doc["found"] for doc in client.mget(index=day, ids=["id-7", "id-no"])["docs"]]
    found["count"] = client.count(index=day)["count"]
    found["scan"] = sorted(hit["_source"]["n"] for hit in helpers.scan(client, index=day, size=40))[:: DOCUMENTS // 2]

    pit, after, seen = client.open_point_in_time(index=day, keep_alive="1m")["id"], None, []
    while True:
        page = client.search(pit={"id": pit, "keep_alive": "1m"}, size=60, sort=[{"level": "asc"}], search_after=after)
        hits = page["hits"]["hits"]
        if not hits:
            break
        seen += [hit["_id"] for hit in hits]
        after = hits[-1]["sort"]
    client.close_point_in_time(id=pit)
    found["pit"] = [len(seen), len(set(seen))]

    both = client.msearch(searches=[{"index": day}, {"size": 0}, {"index": "nothing"}, {"size": 0}])["responses"]
    found["msearch"] = [answer["status"] for answer in both]
    found["caps"] = client.field_caps(index=day, fields="n,msg")["fields"]["n"]["long"]["aggregatable"]
    found["cat"] = [row["docs.count"] for row in client.cat.indices(index=day, format="json")]
    found["valid"] = client.indices.validate_query(index=day, q="n:7")["valid"]
    found["health"] = client.cluster.health()["status"]
    try:
        client.delete(index=day, id="id-7")
    except elasticsearch.BadRequestError as error:
        found["delete"] = error.error
    try:
        client.search(index="nothing")
    except elasticsearch.NotFoundError as error:
        found["missing"] = error.error
    found["gone"] = client.indices.delete(index=day)["acknowledged"]
    found["after"] = bool(client.indices.exists(index=day))
    found["warnings"] = sorted(set(told))
    print(json.dumps(found))


main(*sys.argv[1:])
