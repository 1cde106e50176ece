/** The orders' row schema, as somebody would write it who knows the data. */
import { pbkdf2Sync } from 'node:crypto';
import { z } from 'zod';

export const orderRow = z.object({
  id: z.int().positive(),
  customer_id: z.int32().min(0).max(10_000_000),
  region: z.enum(['north', 'south', 'east', 'west']),
  order_date: z.date().min(new Date('2020-01-01')).meta({ sqlType: 'date' }),
  status: z.enum(['new', 'paid', 'shipped', 'cancelled', 'refunded']),
  amount: z.number().min(0).max(1_000_000).meta({ sqlType: 'numeric(12,2)' }),
  email: z.string().min(3).max(254).nullable(),
  note: z.string().max(500).nullable(),
  updated_at: z.date(),
});

export type OrderRow = z.output<typeof orderRow>;

/** What somebody does with a row in TypeScript. Of the bench's own rows it changes none, so that both sides load the same. */
export function tidy(row: OrderRow): OrderRow {
  return {
    ...row,
    amount: Math.round(row.amount * 100) / 100,
    email: row.email === null ? null : row.email.trim().toLowerCase(),
    note: row.note === null ? null : row.note.trim(),
  };
}

/** Pseudonyms of those who want no mail: none of the bench's customers. */
const BLOCKED: ReadonlySet<string> = new Set(['00000000000000000000000000000000']);

/** A row function that costs more than all the rest: the worker is the limit. */
export function screen(row: OrderRow): OrderRow {
  if (row.email === null) return row;
  const pseudonym = pbkdf2Sync(row.email, 'bench', 20, 16, 'sha256').toString('hex');
  return BLOCKED.has(pseudonym) ? { ...row, email: null } : row;
}
