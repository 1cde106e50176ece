-- The orders that the bench moves; the same rows on every machine, about 120 bytes each. psql -v rows=2000000 -f orders.sql
drop table if exists orders;
create table orders (
  id          bigint primary key,
  customer_id int not null,
  region      text not null,
  order_date  date not null,
  status      text not null,
  amount      numeric(12,2) not null,
  email       text,
  note        text,
  updated_at  timestamptz not null
);
insert into orders
select g,
       (g * 7919) % 100000,
       (array['north', 'south', 'east', 'west'])[1 + g % 4],
       date '2026-01-01' + ((g * 31) % 90)::int,
       (array['new', 'paid', 'shipped', 'cancelled', 'refunded'])[1 + g % 5],
       ((g * 137) % 10000000) / 100.0,
       'user' || ((g * 7919) % 100000) || '@example.com',
       case when g % 7 = 0 then null
            when g % 11 = 0 then 'note, with "quotes" ' || g
            else 'order note ' || left(md5(g::text), 16) end,
       timestamptz '2026-01-01 00:00:00+00' + g * interval '1 second'
from generate_series(1::bigint, :rows::bigint) g;
