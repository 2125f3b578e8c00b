-- Full charts for companies that are there: headers that sum, types, flags, parents, and the accounts that money needs.
-- New companies get all of it from cloud/domain/ledger/charts; a test holds this file against those.

-- ── What ships ──────────────────────────────────────────────────────────────────────────────────────

CREATE TEMPORARY TABLE shipped (
    chart       text    NOT NULL,
    number      text    NOT NULL,
    was         text,  -- its number so far, which becomes its header's
    role        text,
    name_zh     text    NOT NULL,
    name_en     text    NOT NULL,
    type        text    NOT NULL,
    parent      text,
    is_postable boolean NOT NULL,
    is_monetary boolean NOT NULL,
    has_items   boolean NOT NULL,
    dimensions  boolean NOT NULL,  -- whether lines may name values of the four types that ship
    PRIMARY KEY (chart, number)
) ON COMMIT DROP;
INSERT INTO shipped VALUES
    ('ASBE', '1001', NULL, 'cash', '库存现金', 'Cash on hand', 'asset', NULL, true, true, false, false),
    ('ASBE', '1002', NULL, 'bank', '银行存款', 'Cash at bank', 'asset', NULL, true, true, false, false),
    ('ASBE', '1012', NULL, NULL, '其他货币资金', 'Other monetary funds', 'asset', NULL, true, true, false, false),
    ('ASBE', '1101', NULL, NULL, '交易性金融资产', 'Financial assets held for trading', 'asset', NULL, true, false, false, false),
    ('ASBE', '1121', NULL, NULL, '应收票据', 'Notes receivable', 'asset', NULL, true, true, false, false),
    ('ASBE', '1122', NULL, NULL, '应收账款', 'Accounts receivable', 'asset', NULL, false, false, false, false),
    ('ASBE', '112201', NULL, 'receivables', '应收账款——客户', 'Accounts receivable from customers', 'asset', '1122', true, true, true, false),
    ('ASBE', '112202', NULL, 'group_receivable', '应收账款——集团内', 'Accounts receivable within the group', 'asset', '1122', true, true, true, false),
    ('ASBE', '1123', NULL, NULL, '预付账款', 'Prepayments', 'asset', NULL, true, false, false, false),
    ('ASBE', '1131', NULL, NULL, '应收股利', 'Dividends receivable', 'asset', NULL, true, true, false, false),
    ('ASBE', '1132', NULL, NULL, '应收利息', 'Interest receivable', 'asset', NULL, true, true, false, false),
    ('ASBE', '1221', NULL, NULL, '其他应收款', 'Other receivables', 'asset', NULL, true, true, false, false),
    ('ASBE', '1231', NULL, NULL, '坏账准备', 'Allowance for doubtful accounts', 'asset', NULL, true, false, false, false),
    ('ASBE', '1401', NULL, NULL, '材料采购', 'Materials purchased, planned cost', 'asset', NULL, true, false, false, false),
    ('ASBE', '1402', NULL, NULL, '在途物资', 'Materials in transit from suppliers', 'asset', NULL, true, false, false, false),
    ('ASBE', '1403', NULL, 'raw_material', '原材料', 'Raw materials', 'asset', NULL, true, false, false, false),
    ('ASBE', '1404', NULL, 'ppv', '材料成本差异', 'Purchase price variance', 'asset', NULL, true, false, false, false),
    ('ASBE', '1405', NULL, NULL, '库存商品', 'Merchandise', 'asset', NULL, false, false, false, false),
    ('ASBE', '140501', '1405', 'goods', '库存商品——商品和产成品', 'Merchandise and finished goods', 'asset', '1405', true, false, false, false),
    ('ASBE', '140591', NULL, 'in_transit', '库存商品——调拨在途', 'Goods in transit between own sites', 'asset', '1405', true, false, false, false),
    ('ASBE', '140592', NULL, 'clarification_stock', '库存商品——待处理', 'Goods in clarification', 'asset', '1405', true, false, false, false),
    ('ASBE', '1406', NULL, 'shipped', '发出商品', 'Goods shipped not invoiced', 'asset', NULL, true, false, true, false),
    ('ASBE', '1407', NULL, NULL, '商品进销差价', 'Difference between selling price and cost of merchandise', 'asset', NULL, true, false, false, false),
    ('ASBE', '1408', NULL, NULL, '委托加工物资', 'Materials with subcontractors', 'asset', NULL, true, false, false, false),
    ('ASBE', '1411', NULL, NULL, '周转材料', 'Revolving materials', 'asset', NULL, true, false, false, false),
    ('ASBE', '1421', NULL, NULL, '消耗性生物资产', 'Consumable biological assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1471', NULL, 'allowance', '存货跌价准备', 'Allowance for inventory write-downs', 'asset', NULL, true, false, false, false),
    ('ASBE', '1473', NULL, NULL, '合同资产', 'Contract assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1474', NULL, NULL, '合同资产减值准备', 'Impairment of contract assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1481', NULL, NULL, '持有待售资产', 'Assets held for sale', 'asset', NULL, true, false, false, false),
    ('ASBE', '1482', NULL, NULL, '持有待售资产减值准备', 'Impairment of assets held for sale', 'asset', NULL, true, false, false, false),
    ('ASBE', '1501', NULL, NULL, '债权投资', 'Debt investments at amortised cost', 'asset', NULL, true, true, false, false),
    ('ASBE', '1502', NULL, NULL, '债权投资减值准备', 'Impairment of debt investments', 'asset', NULL, true, false, false, false),
    ('ASBE', '1503', NULL, NULL, '其他债权投资', 'Other debt investments', 'asset', NULL, true, false, false, false),
    ('ASBE', '1504', NULL, NULL, '其他权益工具投资', 'Other equity investments', 'asset', NULL, true, false, false, false),
    ('ASBE', '1511', NULL, NULL, '长期股权投资', 'Long-term equity investments', 'asset', NULL, true, false, false, false),
    ('ASBE', '1512', NULL, NULL, '长期股权投资减值准备', 'Impairment of long-term equity investments', 'asset', NULL, true, false, false, false),
    ('ASBE', '1521', NULL, NULL, '投资性房地产', 'Investment property', 'asset', NULL, true, false, false, false),
    ('ASBE', '1531', NULL, NULL, '长期应收款', 'Long-term receivables', 'asset', NULL, true, true, false, false),
    ('ASBE', '1532', NULL, NULL, '未实现融资收益', 'Unrealised financing income', 'asset', NULL, true, false, false, false),
    ('ASBE', '1601', NULL, NULL, '固定资产', 'Fixed assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1602', NULL, NULL, '累计折旧', 'Accumulated depreciation', 'asset', NULL, true, false, false, false),
    ('ASBE', '1603', NULL, NULL, '固定资产减值准备', 'Impairment of fixed assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1604', NULL, NULL, '在建工程', 'Construction in progress', 'asset', NULL, true, false, false, false),
    ('ASBE', '1605', NULL, NULL, '工程物资', 'Construction materials', 'asset', NULL, true, false, false, false),
    ('ASBE', '1606', NULL, NULL, '固定资产清理', 'Disposal of fixed assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1641', NULL, NULL, '使用权资产', 'Right-of-use assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1642', NULL, NULL, '使用权资产累计折旧', 'Accumulated depreciation of right-of-use assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1643', NULL, NULL, '使用权资产减值准备', 'Impairment of right-of-use assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1701', NULL, NULL, '无形资产', 'Intangible assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1702', NULL, NULL, '累计摊销', 'Accumulated amortisation', 'asset', NULL, true, false, false, false),
    ('ASBE', '1703', NULL, NULL, '无形资产减值准备', 'Impairment of intangible assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1711', NULL, NULL, '商誉', 'Goodwill', 'asset', NULL, true, false, false, false),
    ('ASBE', '1801', NULL, NULL, '长期待摊费用', 'Long-term deferred expenses', 'asset', NULL, true, false, false, false),
    ('ASBE', '1811', NULL, NULL, '递延所得税资产', 'Deferred tax assets', 'asset', NULL, true, false, false, false),
    ('ASBE', '1901', NULL, 'clarification', '待处理财产损溢', 'Property gains and losses awaiting clarification', 'asset', NULL, true, false, true, false),
    ('ASBE', '2001', NULL, NULL, '短期借款', 'Short-term borrowings', 'liability', NULL, true, true, false, false),
    ('ASBE', '2101', NULL, NULL, '交易性金融负债', 'Financial liabilities held for trading', 'liability', NULL, true, false, false, false),
    ('ASBE', '2201', NULL, NULL, '应付票据', 'Notes payable', 'liability', NULL, true, true, false, false),
    ('ASBE', '2202', NULL, NULL, '应付账款', 'Accounts payable', 'liability', NULL, false, false, false, false),
    ('ASBE', '220201', NULL, 'grni', '应付账款——暂估', 'Goods received not invoiced', 'liability', '2202', true, true, true, false),
    ('ASBE', '220202', NULL, 'landed_clearing', '应付账款——采购费用暂估', 'Landed cost not invoiced', 'liability', '2202', true, true, true, false),
    ('ASBE', '220203', NULL, 'payables', '应付账款——供应商', 'Accounts payable to suppliers', 'liability', '2202', true, true, true, false),
    ('ASBE', '220204', NULL, 'group_payable', '应付账款——集团内', 'Accounts payable within the group', 'liability', '2202', true, true, true, false),
    ('ASBE', '2203', NULL, NULL, '预收账款', 'Advances from customers', 'liability', NULL, true, false, false, false),
    ('ASBE', '2204', NULL, NULL, '合同负债', 'Contract liabilities', 'liability', NULL, true, false, false, false),
    ('ASBE', '2211', NULL, NULL, '应付职工薪酬', 'Employee benefits payable', 'liability', NULL, true, true, false, false),
    ('ASBE', '2221', NULL, NULL, '应交税费', 'Taxes payable', 'liability', NULL, false, false, false, false),
    ('ASBE', '222101', NULL, NULL, '应交税费——应交增值税', 'VAT payable', 'liability', '2221', false, false, false, false),
    ('ASBE', '22210101', NULL, 'input_vat', '应交税费——应交增值税（进项税额）', 'Input VAT', 'liability', '222101', true, false, false, false),
    ('ASBE', '22210102', NULL, NULL, '应交税费——应交增值税（销项税额抵减）', 'Reduction of output VAT', 'liability', '222101', true, false, false, false),
    ('ASBE', '22210103', NULL, NULL, '应交税费——应交增值税（已交税金）', 'VAT paid in the period', 'liability', '222101', true, false, false, false),
    ('ASBE', '22210104', NULL, NULL, '应交税费——应交增值税（转出未交增值税）', 'Unpaid VAT carried out', 'liability', '222101', true, false, false, false),
    ('ASBE', '22210105', NULL, NULL, '应交税费——应交增值税（减免税款）', 'VAT exempted', 'liability', '222101', true, false, false, false),
    ('ASBE', '22210106', NULL, NULL, '应交税费——应交增值税（出口抵减内销产品应纳税额）', 'Export offset against domestic VAT', 'liability', '222101', true, false, false, false),
    ('ASBE', '22210107', NULL, 'output_vat', '应交税费——应交增值税（销项税额）', 'Output VAT', 'liability', '222101', true, false, false, false),
    ('ASBE', '22210108', NULL, NULL, '应交税费——应交增值税（出口退税）', 'Export VAT refund', 'liability', '222101', true, false, false, false),
    ('ASBE', '22210109', NULL, NULL, '应交税费——应交增值税（进项税额转出）', 'Input VAT carried out', 'liability', '222101', true, false, false, false),
    ('ASBE', '22210110', NULL, NULL, '应交税费——应交增值税（转出多交增值税）', 'Overpaid VAT carried out', 'liability', '222101', true, false, false, false),
    ('ASBE', '222102', NULL, NULL, '应交税费——未交增值税', 'Unpaid VAT', 'liability', '2221', true, false, false, false),
    ('ASBE', '222103', NULL, NULL, '应交税费——预交增值税', 'VAT prepaid', 'liability', '2221', true, false, false, false),
    ('ASBE', '222104', NULL, NULL, '应交税费——待抵扣进项税额', 'Input VAT to be deducted', 'liability', '2221', true, false, false, false),
    ('ASBE', '222105', NULL, NULL, '应交税费——待认证进项税额', 'Input VAT to be certified', 'liability', '2221', true, false, false, false),
    ('ASBE', '222106', NULL, NULL, '应交税费——待转销项税额', 'Output VAT to be carried over', 'liability', '2221', true, false, false, false),
    ('ASBE', '222111', NULL, NULL, '应交税费——应交消费税', 'Consumption tax payable', 'liability', '2221', true, false, false, false),
    ('ASBE', '222112', NULL, NULL, '应交税费——应交城市维护建设税', 'City maintenance tax payable', 'liability', '2221', true, false, false, false),
    ('ASBE', '222113', NULL, NULL, '应交税费——应交教育费附加', 'Education surcharge payable', 'liability', '2221', true, false, false, false),
    ('ASBE', '222114', NULL, NULL, '应交税费——应交地方教育附加', 'Local education surcharge payable', 'liability', '2221', true, false, false, false),
    ('ASBE', '222115', NULL, NULL, '应交税费——应交所得税', 'Corporate income tax payable', 'liability', '2221', true, false, false, false),
    ('ASBE', '222116', NULL, NULL, '应交税费——应交个人所得税', 'Individual income tax withheld', 'liability', '2221', true, false, false, false),
    ('ASBE', '222117', NULL, NULL, '应交税费——应交关税', 'Customs duty payable', 'liability', '2221', true, false, false, false),
    ('ASBE', '222118', NULL, NULL, '应交税费——其他税费', 'Other taxes payable', 'liability', '2221', true, false, false, false),
    ('ASBE', '2231', NULL, NULL, '应付利息', 'Interest payable', 'liability', NULL, true, true, false, false),
    ('ASBE', '2232', NULL, NULL, '应付股利', 'Dividends payable', 'liability', NULL, true, true, false, false),
    ('ASBE', '2241', NULL, NULL, '其他应付款', 'Other payables', 'liability', NULL, true, true, false, false),
    ('ASBE', '2245', NULL, NULL, '持有待售负债', 'Liabilities held for sale', 'liability', NULL, true, false, false, false),
    ('ASBE', '2401', NULL, NULL, '递延收益', 'Deferred income', 'liability', NULL, true, false, false, false),
    ('ASBE', '2501', NULL, NULL, '长期借款', 'Long-term borrowings', 'liability', NULL, true, true, false, false),
    ('ASBE', '2502', NULL, NULL, '应付债券', 'Bonds payable', 'liability', NULL, true, true, false, false),
    ('ASBE', '2503', NULL, NULL, '租赁负债', 'Lease liabilities', 'liability', NULL, true, true, false, false),
    ('ASBE', '2701', NULL, NULL, '长期应付款', 'Long-term payables', 'liability', NULL, true, true, false, false),
    ('ASBE', '2702', NULL, NULL, '未确认融资费用', 'Unrecognised financing charges', 'liability', NULL, true, false, false, false),
    ('ASBE', '2711', NULL, NULL, '专项应付款', 'Special payables', 'liability', NULL, true, false, false, false),
    ('ASBE', '2801', NULL, NULL, '预计负债', 'Provisions', 'liability', NULL, true, false, false, false),
    ('ASBE', '2901', NULL, NULL, '递延所得税负债', 'Deferred tax liabilities', 'liability', NULL, true, false, false, false),
    ('ASBE', '3101', NULL, NULL, '衍生工具', 'Derivatives', 'common', NULL, true, false, false, false),
    ('ASBE', '3201', NULL, NULL, '套期工具', 'Hedging instruments', 'common', NULL, true, false, false, false),
    ('ASBE', '3202', NULL, NULL, '被套期项目', 'Hedged items', 'common', NULL, true, false, false, false),
    ('ASBE', '4001', NULL, NULL, '实收资本', 'Paid-in capital', 'equity', NULL, true, false, false, false),
    ('ASBE', '4002', NULL, NULL, '资本公积', 'Capital reserve', 'equity', NULL, true, false, false, false),
    ('ASBE', '4003', NULL, NULL, '其他综合收益', 'Other comprehensive income', 'equity', NULL, true, false, false, false),
    ('ASBE', '4101', NULL, NULL, '盈余公积', 'Surplus reserve', 'equity', NULL, false, false, false, false),
    ('ASBE', '410101', NULL, NULL, '盈余公积——法定盈余公积', 'Statutory surplus reserve', 'equity', '4101', true, false, false, false),
    ('ASBE', '410102', NULL, NULL, '盈余公积——任意盈余公积', 'Discretionary surplus reserve', 'equity', '4101', true, false, false, false),
    ('ASBE', '4103', NULL, 'year_profit', '本年利润', 'Profit for the year', 'equity', NULL, true, false, false, false),
    ('ASBE', '4104', NULL, NULL, '利润分配', 'Profit distribution', 'equity', NULL, false, false, false, false),
    ('ASBE', '410401', NULL, NULL, '利润分配——提取法定盈余公积', 'Appropriation to statutory surplus reserve', 'equity', '4104', true, false, false, false),
    ('ASBE', '410402', NULL, NULL, '利润分配——提取任意盈余公积', 'Appropriation to discretionary surplus reserve', 'equity', '4104', true, false, false, false),
    ('ASBE', '410403', NULL, NULL, '利润分配——应付现金股利或利润', 'Cash dividends or profit payable', 'equity', '4104', true, false, false, false),
    ('ASBE', '410404', NULL, NULL, '利润分配——转作股本的股利', 'Dividends turned into share capital', 'equity', '4104', true, false, false, false),
    ('ASBE', '410405', NULL, NULL, '利润分配——盈余公积补亏', 'Losses made good from surplus reserve', 'equity', '4104', true, false, false, false),
    ('ASBE', '410406', NULL, 'retained_earnings', '利润分配——未分配利润', 'Retained earnings', 'equity', '4104', true, false, false, false),
    ('ASBE', '410499', NULL, 'opening_equity', '利润分配——期初余额', 'Opening balance equity', 'equity', '4104', true, false, false, false),
    ('ASBE', '4201', NULL, NULL, '库存股', 'Treasury shares', 'equity', NULL, true, false, false, false),
    ('ASBE', '4401', NULL, NULL, '其他权益工具', 'Other equity instruments', 'equity', NULL, true, false, false, false),
    ('ASBE', '5001', NULL, 'wip', '生产成本', 'Work in progress', 'cost', NULL, true, false, false, false),
    ('ASBE', '5101', NULL, 'absorbed', '制造费用', 'Labour, energy and overhead absorbed', 'cost', NULL, true, false, false, true),
    ('ASBE', '5201', NULL, NULL, '劳务成本', 'Cost of services', 'cost', NULL, true, false, false, false),
    ('ASBE', '5301', NULL, NULL, '研发支出', 'Research and development expenditure', 'cost', NULL, true, false, false, true),
    ('ASBE', '6001', NULL, 'revenue', '主营业务收入', 'Revenue', 'revenue', NULL, true, false, false, true),
    ('ASBE', '6051', NULL, NULL, '其他业务收入', 'Other operating revenue', 'revenue', NULL, true, false, false, true),
    ('ASBE', '6061', NULL, NULL, '汇兑损益', 'Exchange gains and losses of financial business', 'revenue', NULL, true, false, false, true),
    ('ASBE', '6101', NULL, NULL, '公允价值变动损益', 'Gains and losses from changes of fair value', 'revenue', NULL, true, false, false, true),
    ('ASBE', '6111', NULL, NULL, '投资收益', 'Investment income', 'revenue', NULL, true, false, false, true),
    ('ASBE', '6115', NULL, NULL, '资产处置损益', 'Gains and losses from disposal of assets', 'revenue', NULL, true, false, false, true),
    ('ASBE', '6117', NULL, NULL, '其他收益', 'Other gains, grants among them', 'revenue', NULL, true, false, false, true),
    ('ASBE', '6301', NULL, 'other_income', '营业外收入', 'Non-operating income', 'revenue', NULL, true, false, false, true),
    ('ASBE', '6401', NULL, NULL, '主营业务成本', 'Cost of main operations', 'expense', NULL, false, false, false, false),
    ('ASBE', '640101', '6401', 'cogs', '主营业务成本——商品', 'Cost of goods sold', 'expense', '6401', true, false, false, true),
    ('ASBE', '640191', NULL, 'price_difference', '主营业务成本——进货价差', 'Purchase price differences', 'expense', '6401', true, false, false, true),
    ('ASBE', '640192', NULL, 'usage_variance', '主营业务成本——用量差异', 'Usage variance', 'expense', '6401', true, false, false, true),
    ('ASBE', '640193', NULL, 'production_variance', '主营业务成本——生产差异', 'Production variance', 'expense', '6401', true, false, false, true),
    ('ASBE', '640194', NULL, 'revaluation', '主营业务成本——存货重估', 'Revaluation of stock', 'expense', '6401', true, false, false, true),
    ('ASBE', '6402', NULL, NULL, '其他业务成本', 'Cost of other operations', 'expense', NULL, true, false, false, true),
    ('ASBE', '6403', NULL, NULL, '税金及附加', 'Taxes and surcharges', 'expense', NULL, true, false, false, true),
    ('ASBE', '6601', NULL, NULL, '销售费用', 'Selling expenses', 'expense', NULL, true, false, false, true),
    ('ASBE', '6602', NULL, NULL, '管理费用', 'Administrative expenses', 'expense', NULL, false, false, false, false),
    ('ASBE', '660201', NULL, NULL, '管理费用——职工薪酬', 'Administrative salaries and benefits', 'expense', '6602', true, false, false, true),
    ('ASBE', '660202', NULL, NULL, '管理费用——折旧和摊销', 'Administrative depreciation and amortisation', 'expense', '6602', true, false, false, true),
    ('ASBE', '660203', NULL, NULL, '管理费用——办公费', 'Office expenses', 'expense', '6602', true, false, false, true),
    ('ASBE', '660204', NULL, NULL, '管理费用——差旅费', 'Travel expenses', 'expense', '6602', true, false, false, true),
    ('ASBE', '660205', NULL, NULL, '管理费用——业务招待费', 'Entertainment expenses', 'expense', '6602', true, false, false, true),
    ('ASBE', '660206', NULL, NULL, '管理费用——研发费用', 'Research and development expenses', 'expense', '6602', true, false, false, true),
    ('ASBE', '660207', NULL, 'admin_loss', '管理费用——存货盘亏和毁损', 'Losses of goods in the ordinary course', 'expense', '6602', true, false, false, true),
    ('ASBE', '660208', NULL, 'goods_gain', '管理费用——存货盘盈', 'Gains of goods found by counts', 'expense', '6602', true, false, false, true),
    ('ASBE', '660299', NULL, NULL, '管理费用——其他', 'Other administrative expenses', 'expense', '6602', true, false, false, true),
    ('ASBE', '6603', NULL, NULL, '财务费用', 'Financial expenses', 'expense', NULL, false, false, false, false),
    ('ASBE', '660301', NULL, NULL, '财务费用——利息支出', 'Interest expense', 'expense', '6603', true, false, false, true),
    ('ASBE', '660302', NULL, NULL, '财务费用——利息收入', 'Interest income', 'expense', '6603', true, false, false, true),
    ('ASBE', '660303', NULL, 'exchange_loss', '财务费用——汇兑损失', 'Exchange losses', 'expense', '6603', true, false, false, true),
    ('ASBE', '660304', NULL, 'exchange_gain', '财务费用——汇兑收益', 'Exchange gains', 'expense', '6603', true, false, false, true),
    ('ASBE', '660305', NULL, NULL, '财务费用——手续费', 'Bank charges', 'expense', '6603', true, false, false, true),
    ('ASBE', '660391', NULL, 'rounding', '财务费用——尾差', 'Rounding differences', 'expense', '6603', true, false, false, true),
    ('ASBE', '6701', NULL, 'write_down', '资产减值损失', 'Write-downs of inventory', 'expense', NULL, true, false, false, true),
    ('ASBE', '6702', NULL, NULL, '信用减值损失', 'Credit impairment losses', 'expense', NULL, true, false, false, true),
    ('ASBE', '6711', NULL, 'loss', '营业外支出', 'Losses of goods', 'expense', NULL, true, false, false, true),
    ('ASBE', '6801', NULL, NULL, '所得税费用', 'Income tax expense', 'expense', NULL, true, false, false, true),
    ('ASBE', '6901', NULL, NULL, '以前年度损益调整', 'Adjustments of earlier years'' profit', 'expense', NULL, true, false, false, true),
    ('generic', '1000', NULL, NULL, '货币资金', 'Cash and cash equivalents', 'asset', NULL, false, false, false, false),
    ('generic', '1010', NULL, 'cash', '库存现金', 'Cash on hand', 'asset', '1000', true, true, false, false),
    ('generic', '1020', NULL, 'bank', '银行存款', 'Cash at bank', 'asset', '1000', true, true, false, false),
    ('generic', '1100', NULL, NULL, '应收款项', 'Trade and other receivables', 'asset', NULL, false, false, false, false),
    ('generic', '1110', NULL, 'receivables', '应收账款', 'Trade receivables', 'asset', '1100', true, true, true, false),
    ('generic', '1120', NULL, 'group_receivable', '集团内应收款', 'Receivables from companies of the group', 'asset', '1100', true, true, true, false),
    ('generic', '1130', NULL, NULL, '其他应收款', 'Other receivables', 'asset', '1100', true, true, false, false),
    ('generic', '1140', NULL, NULL, '应收票据', 'Notes receivable', 'asset', '1100', true, true, false, false),
    ('generic', '1150', NULL, NULL, '坏账准备', 'Loss allowance for receivables', 'asset', '1100', true, false, false, false),
    ('generic', '1200', NULL, NULL, '预付款项', 'Prepayments and contract assets', 'asset', NULL, false, false, false, false),
    ('generic', '1210', NULL, NULL, '预付账款', 'Prepayments to suppliers', 'asset', '1200', true, false, false, false),
    ('generic', '1220', NULL, NULL, '待摊费用', 'Prepaid expenses', 'asset', '1200', true, false, false, false),
    ('generic', '1230', NULL, NULL, '合同资产', 'Contract assets', 'asset', '1200', true, false, false, false),
    ('generic', '1300', NULL, NULL, '存货', 'Inventories', 'asset', NULL, false, false, false, false),
    ('generic', '1310', NULL, 'raw_material', '原材料', 'Raw materials', 'asset', '1300', true, false, false, false),
    ('generic', '1320', NULL, 'goods', '商品', 'Merchandise and finished goods', 'asset', '1300', true, false, false, false),
    ('generic', '1330', NULL, 'in_transit', '调拨在途', 'Goods in transit between own sites', 'asset', '1300', true, false, false, false),
    ('generic', '1340', NULL, 'clarification_stock', '待处理存货', 'Goods in clarification', 'asset', '1300', true, false, false, false),
    ('generic', '1350', NULL, 'wip', '在产品', 'Work in progress', 'asset', '1300', true, false, false, false),
    ('generic', '1360', NULL, 'allowance', '存货跌价准备', 'Allowance for inventory write-downs', 'asset', '1300', true, false, false, false),
    ('generic', '1370', NULL, 'shipped', '发出商品', 'Goods shipped not invoiced', 'asset', '1300', true, false, true, false),
    ('generic', '1390', NULL, 'clarification', '待处理损溢', 'Stock differences awaiting clarification', 'asset', '1300', true, false, true, false),
    ('generic', '1500', NULL, NULL, '不动产、厂房和设备', 'Property, plant and equipment', 'asset', NULL, false, false, false, false),
    ('generic', '1510', NULL, NULL, '不动产、厂房和设备原值', 'Property, plant and equipment at cost', 'asset', '1500', true, false, false, false),
    ('generic', '1520', NULL, NULL, '累计折旧', 'Accumulated depreciation', 'asset', '1500', true, false, false, false),
    ('generic', '1530', NULL, NULL, '在建工程', 'Assets under construction', 'asset', '1500', true, false, false, false),
    ('generic', '1540', NULL, NULL, '使用权资产', 'Right-of-use assets', 'asset', '1500', true, false, false, false),
    ('generic', '1600', NULL, NULL, '无形资产', 'Intangible assets', 'asset', NULL, false, false, false, false),
    ('generic', '1610', NULL, NULL, '无形资产原值', 'Intangible assets at cost', 'asset', '1600', true, false, false, false),
    ('generic', '1620', NULL, NULL, '累计摊销', 'Accumulated amortisation', 'asset', '1600', true, false, false, false),
    ('generic', '1630', NULL, NULL, '商誉', 'Goodwill', 'asset', '1600', true, false, false, false),
    ('generic', '1700', NULL, NULL, '金融资产', 'Financial assets', 'asset', NULL, true, false, false, false),
    ('generic', '1800', NULL, NULL, '递延所得税资产', 'Deferred tax assets', 'asset', NULL, true, false, false, false),
    ('generic', '2100', NULL, NULL, '应付款项', 'Trade and other payables', 'liability', NULL, false, false, false, false),
    ('generic', '2110', NULL, 'grni', '暂估应付账款', 'Goods received not invoiced', 'liability', '2100', true, true, true, false),
    ('generic', '2120', NULL, 'landed_clearing', '暂估采购费用', 'Landed cost not invoiced', 'liability', '2100', true, true, true, false),
    ('generic', '2130', NULL, 'payables', '应付账款', 'Trade payables', 'liability', '2100', true, true, true, false),
    ('generic', '2140', NULL, 'group_payable', '集团内应付款', 'Payables to companies of the group', 'liability', '2100', true, true, true, false),
    ('generic', '2150', NULL, NULL, '其他应付款', 'Other payables', 'liability', '2100', true, true, false, false),
    ('generic', '2160', NULL, NULL, '应付职工薪酬', 'Employee benefits payable', 'liability', '2100', true, true, false, false),
    ('generic', '2170', NULL, NULL, '合同负债', 'Contract liabilities', 'liability', '2100', true, false, false, false),
    ('generic', '2200', NULL, NULL, '应交税费', 'Taxes', 'liability', NULL, false, false, false, false),
    ('generic', '2210', NULL, 'input_vat', '进项税额', 'Input VAT', 'liability', '2200', true, false, false, false),
    ('generic', '2220', NULL, 'output_vat', '销项税额', 'Output VAT', 'liability', '2200', true, false, false, false),
    ('generic', '2230', NULL, NULL, '应交增值税', 'VAT payable', 'liability', '2200', true, false, false, false),
    ('generic', '2240', NULL, NULL, '应交所得税', 'Income tax payable', 'liability', '2200', true, false, false, false),
    ('generic', '2250', NULL, NULL, '其他税费', 'Other taxes payable', 'liability', '2200', true, false, false, false),
    ('generic', '2300', NULL, NULL, '预计负债', 'Provisions', 'liability', NULL, true, false, false, false),
    ('generic', '2400', NULL, NULL, '借款', 'Borrowings', 'liability', NULL, false, false, false, false),
    ('generic', '2410', NULL, NULL, '短期借款', 'Short-term borrowings', 'liability', '2400', true, true, false, false),
    ('generic', '2420', NULL, NULL, '长期借款', 'Long-term borrowings', 'liability', '2400', true, true, false, false),
    ('generic', '2430', NULL, NULL, '租赁负债', 'Lease liabilities', 'liability', '2400', true, true, false, false),
    ('generic', '2800', NULL, NULL, '递延所得税负债', 'Deferred tax liabilities', 'liability', NULL, true, false, false, false),
    ('generic', '3100', NULL, NULL, '股本', 'Share capital', 'equity', NULL, true, false, false, false),
    ('generic', '3200', NULL, NULL, '资本公积', 'Share premium and other reserves', 'equity', NULL, true, false, false, false),
    ('generic', '3300', NULL, 'retained_earnings', '留存收益', 'Retained earnings', 'equity', NULL, true, false, false, false),
    ('generic', '3400', NULL, 'year_profit', '本年利润', 'Profit for the year', 'equity', NULL, true, false, false, false),
    ('generic', '3500', NULL, NULL, '股利', 'Dividends', 'equity', NULL, true, false, false, false),
    ('generic', '3600', NULL, NULL, '其他综合收益', 'Other comprehensive income', 'equity', NULL, true, false, false, false),
    ('generic', '3900', NULL, 'opening_equity', '期初余额', 'Opening balance equity', 'equity', NULL, true, false, false, false),
    ('generic', '4000', NULL, NULL, '营业收入', 'Revenue', 'revenue', NULL, false, false, false, false),
    ('generic', '4010', NULL, 'revenue', '商品销售收入', 'Revenue from sales of goods', 'revenue', '4000', true, false, false, true),
    ('generic', '4020', NULL, NULL, '服务收入', 'Revenue from services', 'revenue', '4000', true, false, false, true),
    ('generic', '4900', NULL, NULL, '其他收益', 'Other income', 'revenue', NULL, false, false, false, false),
    ('generic', '4910', NULL, 'other_income', '其他收入', 'Other income and gains', 'revenue', '4900', true, false, false, true),
    ('generic', '4920', NULL, 'goods_gain', '存货盘盈', 'Gains of goods found by counts', 'revenue', '4900', true, false, false, true),
    ('generic', '4930', NULL, 'exchange_gain', '汇兑收益', 'Exchange gains', 'revenue', '4900', true, false, false, true),
    ('generic', '4940', NULL, NULL, '利息收入', 'Interest income', 'revenue', '4900', true, false, false, true),
    ('generic', '5000', NULL, 'cogs', '销售成本', 'Cost of sales', 'expense', NULL, true, false, false, true),
    ('generic', '5100', NULL, 'price_difference', '进货价差', 'Purchase price differences', 'expense', NULL, true, false, false, true),
    ('generic', '5200', NULL, 'ppv', '采购价格差异', 'Purchase price variance', 'expense', NULL, true, false, false, true),
    ('generic', '5210', NULL, 'usage_variance', '用量差异', 'Usage variance', 'expense', NULL, true, false, false, true),
    ('generic', '5220', NULL, 'production_variance', '生产差异', 'Production variance', 'expense', NULL, true, false, false, true),
    ('generic', '5230', NULL, 'revaluation', '存货重估差异', 'Revaluation of stock', 'expense', NULL, true, false, false, true),
    ('generic', '5800', NULL, 'absorbed', '已吸收制造费用', 'Labour, energy and overhead absorbed', 'expense', NULL, true, false, false, true),
    ('generic', '5900', NULL, 'rounding', '尾差', 'Rounding differences', 'expense', NULL, true, false, false, true),
    ('generic', '5910', NULL, 'loss', '存货损失', 'Losses of goods', 'expense', NULL, true, false, false, true),
    ('generic', '5920', NULL, 'write_down', '存货跌价损失', 'Write-downs of inventory', 'expense', NULL, true, false, false, true),
    ('generic', '6100', NULL, NULL, '销售费用', 'Distribution costs', 'expense', NULL, true, false, false, true),
    ('generic', '6200', NULL, NULL, '管理费用', 'Administrative expenses', 'expense', NULL, false, false, false, false),
    ('generic', '6210', NULL, NULL, '职工薪酬', 'Administrative salaries and benefits', 'expense', '6200', true, false, false, true),
    ('generic', '6220', NULL, NULL, '折旧和摊销', 'Depreciation and amortisation', 'expense', '6200', true, false, false, true),
    ('generic', '6230', NULL, NULL, '办公费', 'Office expenses', 'expense', '6200', true, false, false, true),
    ('generic', '6240', NULL, NULL, '差旅费', 'Travel expenses', 'expense', '6200', true, false, false, true),
    ('generic', '6250', NULL, NULL, '研发费用', 'Research and development expenses', 'expense', '6200', true, false, false, true),
    ('generic', '6280', NULL, 'admin_loss', '存货正常损耗', 'Losses of goods in the ordinary course', 'expense', '6200', true, false, false, true),
    ('generic', '6290', NULL, NULL, '其他管理费用', 'Other administrative expenses', 'expense', '6200', true, false, false, true),
    ('generic', '6300', NULL, NULL, '财务费用', 'Finance costs', 'expense', NULL, false, false, false, false),
    ('generic', '6310', NULL, NULL, '利息支出', 'Interest expense', 'expense', '6300', true, false, false, true),
    ('generic', '6320', NULL, 'exchange_loss', '汇兑损失', 'Exchange losses', 'expense', '6300', true, false, false, true),
    ('generic', '6330', NULL, NULL, '手续费', 'Bank charges', 'expense', '6300', true, false, false, true),
    ('generic', '6400', NULL, NULL, '金融资产减值', 'Impairment losses on financial assets', 'expense', NULL, true, false, false, true),
    ('generic', '6500', NULL, NULL, '其他费用', 'Other expenses', 'expense', NULL, true, false, false, true),
    ('generic', '6900', NULL, NULL, '所得税费用', 'Income tax expense', 'expense', NULL, true, false, false, true);

CREATE TEMPORARY VIEW shipped_here AS
SELECT c.company_id, s.* FROM companies c
  JOIN shipped s ON s.chart = CASE c.profile WHEN 'ASBE' THEN 'ASBE' ELSE 'generic' END;

-- ── What companies have ─────────────────────────────────────────────────────────────────────────────

-- An account whose number becomes a header's goes below it and keeps its id, and with it all that was posted. Its
-- name follows where it is still the shipped one. Where the new number is taken, it stays as it is.
UPDATE accounts a
   SET number = s.number, name_zh = CASE a.name_zh WHEN split_part(s.name_zh, '——', 1) THEN s.name_zh ELSE a.name_zh END
  FROM shipped_here s
 WHERE a.company_id = s.company_id AND a.role = s.role AND a.number = s.was
   AND NOT EXISTS (SELECT FROM accounts o WHERE o.company_id = s.company_id AND o.number = s.number);

-- What is missing. An account of a company's own that has the number keeps it.
INSERT INTO accounts (company_id, number, name_zh, name_en, role, is_control, account_type, is_postable)
SELECT s.company_id, s.number, s.name_zh, s.name_en, s.role, false, s.type, s.is_postable
  FROM shipped_here s
 WHERE (s.role IS NULL OR NOT EXISTS (SELECT FROM accounts o WHERE o.company_id = s.company_id AND o.role = s.role))
 ORDER BY s.company_id, s.number
ON CONFLICT DO NOTHING;

-- What an account is follows from its role; what has none is new, or the company's own.
UPDATE accounts a
   SET account_type = s.type, is_monetary = s.is_monetary, has_items = s.has_items,
       is_control = coalesce(s.role = ANY ('{raw_material,goods,in_transit,clarification_stock,wip,grni,landed_clearing,
           clarification,shipped,receivables,payables,group_receivable,group_payable,rounding,allowance}'), false)
  FROM shipped_here s
 WHERE a.company_id = s.company_id
   AND (a.role = s.role OR (a.role IS NULL AND s.role IS NULL AND a.number = s.number AND a.name_en = s.name_en));
UPDATE accounts a SET parent_id = p.account_id
  FROM shipped_here s
  JOIN accounts p ON p.company_id = s.company_id AND p.number = s.parent AND NOT p.is_postable
 WHERE a.company_id = s.company_id AND a.number = s.number AND a.role IS NOT DISTINCT FROM s.role;

INSERT INTO account_dimensions (company_id, account_id, type_id, need)
SELECT a.company_id, a.account_id, t.type_id, 'allowed'
  FROM shipped_here s
  JOIN accounts a ON a.company_id = s.company_id AND a.role IS NOT DISTINCT FROM s.role AND a.is_postable
                 AND (a.role IS NOT NULL OR (a.number = s.number AND a.name_en = s.name_en))
  JOIN dimension_types t ON t.company_id = a.company_id
                        AND t.code IN ('cost_centre', 'profit_centre', 'project', 'fund_source')
 WHERE s.dimensions
ON CONFLICT DO NOTHING;

DROP VIEW shipped_here;

-- ── What the database refuses of a chart ────────────────────────────────────────────────────────────

-- Held while a chart changes in a way that the books could contradict: no batch writes meanwhile. One lock for all
-- companies, since a lock that batches had to take of their own company's would cost every one of them.
CREATE FUNCTION hold_chart() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    LOCK TABLE cost_pools, journal_lines IN SHARE MODE
$$;

CREATE FUNCTION guard_accounts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    control CONSTANT text[] := '{raw_material,goods,in_transit,clarification_stock,wip,grni,landed_clearing,clarification,
        shipped,receivables,payables,group_receivable,group_payable,rounding,allowance}';
    has_lines boolean; has_pools boolean;
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.company_id, NEW.account_id) IS DISTINCT FROM (OLD.company_id, OLD.account_id) THEN
        RAISE EXCEPTION 'account % keeps its company and id', OLD.number USING ERRCODE = 'TG004';
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.is_postable OR NOT OLD.is_postable) AND NEW.account_type = OLD.account_type
       AND ((NEW.role, NEW.site_id) IS NOT DISTINCT FROM (OLD.role, OLD.site_id)
            OR NOT (coalesce(NEW.role = ANY (control), false) OR coalesce(OLD.role = ANY (control), false))) THEN
        RETURN NEW;
    END IF;
    PERFORM hold_chart();
    SELECT EXISTS (SELECT FROM turnovers t WHERE t.company_id = OLD.company_id AND t.account_id = OLD.account_id),
           EXISTS (SELECT FROM cost_pools p WHERE p.company_id = OLD.company_id AND p.account_id = OLD.account_id)
      INTO has_lines, has_pools;
    IF TG_OP = 'DELETE' THEN
        IF has_lines OR has_pools THEN
            RAISE EXCEPTION 'account % has lines or cost pools and is never deleted', OLD.number USING ERRCODE = 'TG004';
        END IF;
        RETURN OLD;
    END IF;
    IF (has_lines OR has_pools) AND NOT NEW.is_postable THEN
        RAISE EXCEPTION 'account % has lines and cannot sum sub-accounts', OLD.number USING ERRCODE = 'TG004';
    END IF;
    IF has_lines AND NEW.account_type <> OLD.account_type THEN
        RAISE EXCEPTION 'account % has lines and stays of type %', OLD.number, OLD.account_type USING ERRCODE = 'TG004';
    END IF;
    IF has_pools AND (NEW.role, NEW.site_id) IS DISTINCT FROM (OLD.role, OLD.site_id) THEN
        RAISE EXCEPTION 'account % has cost pools: % stays where it is', OLD.number, OLD.role USING ERRCODE = 'TG004';
    END IF;
    IF has_lines AND NEW.role IS DISTINCT FROM OLD.role AND NEW.role = ANY (control) THEN
        RAISE EXCEPTION 'account % has lines of its own and cannot be that of %', OLD.number, NEW.role
            USING ERRCODE = 'TG004';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guarded BEFORE UPDATE OR DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION guard_accounts();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON accounts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A batch that read the chart before a role moved would open pools where "stock = ledger" does not look for them.
CREATE FUNCTION check_pool_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE bad record;
BEGIN
    SELECT f.pool_id, a.number INTO bad
      FROM fresh f LEFT JOIN accounts a USING (company_id, account_id)
     WHERE a.role IS NULL OR a.role NOT IN ('raw_material', 'goods', 'in_transit', 'clarification_stock', 'wip') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'cost pool %: account % is not one of stock', bad.pool_id, bad.number USING ERRCODE = 'TG004';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER accounts_checked AFTER INSERT ON cost_pools REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION check_pool_accounts();
